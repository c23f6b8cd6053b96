"""Models that think before they speak: room for it, and nothing of it is read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import pytest
from fake_api import FakeApi
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from recording import reply_to
from release import answers

from lm_eval_calibration.models.shared.noted_replies import with_noted_replies
from lm_eval_calibration.models.shared.phases import Phases, asked
from lm_eval_calibration.models.shared.reply import Said
from lm_eval_calibration.models.shared.room import THINKING

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
LENGTH = 600
"""Tokens (here: words) of a thought."""
DRAFT = '{"A": 0.9, "B": 0.1, "C": 0, "D": 0, "E": 0} 99% Best answer: 2 '
TAGS = {
    "think": ("<think>", "</think>"),
    "mistral": ("[THINK]", "[/THINK]"),
    "gpt-oss": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "gpt-oss, bare": ("analysisWe ", "assistantfinal"),
}
FIELDS = ("reasoning_content", "reasoning")


class Thinker(FakeApi):
    """Says what `reply_to` does, after a thought in the style of a model family."""

    def __init__(self, style: str, length: int = LENGTH) -> None:
        super().__init__()
        self.style, self.length = style, length

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        said = reply_to(tuple((t["role"], t["content"]) for t in payload["messages"]))
        thought = DRAFT + "well " * self.length
        room = payload.get("max_tokens", payload.get("max_completion_tokens"))
        cut = room < self.length
        if self.style in FIELDS:
            message = {self.style: thought, "content": None if cut else said}
        else:
            begin, end = TAGS[self.style]
            message = {"content": begin + thought + ("" if cut else end + said)}
        end_of = "length" if cut else "stop"
        return {"choices": [{"index": 0, "message": message, "finish_reason": end_of}]}


def run(
    api: FakeApi, tasks: Any, model: str, task: str, gen_kwargs: Any = None, **more: Any
) -> Any:
    arguments = {"base": "local-chat-completions", "model": "m", "base_url": api.url, **more}
    found = simple_evaluate(
        model=model, model_args=arguments, tasks=[task], task_manager=tasks, limit=3,
        apply_chat_template=True, bootstrap_iters=0, gen_kwargs=gen_kwargs,
    )  # fmt: skip
    assert found is not None
    return found["results"][task], found["samples"][task]


@pytest.mark.parametrize("style", [*TAGS, *FIELDS])
def test_probabilities_are_read_after_the_thought(tasks: Any, style: str) -> None:
    with Thinker(style) as api, Thinker(style, 0) as brief:
        row, samples = run(api, tasks, "verbalized", "calib_toy_norm")
        expected, plain = run(brief, tasks, "verbalized", "calib_toy_norm")
    rooms = [p["max_tokens"] for p in api.payloads]
    assert max(rooms[:3]) < LENGTH and rooms[3:] == [THINKING] * 3
    assert row["cut_rate,none"] == row["invalid_rate,none"] == 0
    assert row["nll,none"] == expected["nll,none"]
    for one, other in zip(samples, plain, strict=True):
        assert one["stated"]["probabilities"] == other["stated"]["probabilities"]


@pytest.mark.parametrize("style", [*TAGS, *FIELDS])
@pytest.mark.parametrize("given", ["model_args", "gen_kwargs"])
def test_what_was_cut_is_cut_and_not_invalid(
    tasks: Any, style: str, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The user's room holds, nothing is asked twice for it, and no draft is read."""
    in_args = {"max_gen_toks": 40} if given == "model_args" else {}
    in_run = "max_gen_toks=40" if given == "gen_kwargs" else None
    with Thinker(style) as api, caplog.at_level(logging.WARNING):
        row, samples = run(api, tasks, "verbalized", "calib_toy_norm", in_run, **in_args)
    assert {p["max_tokens"] for p in api.payloads} == {40}
    assert row["cut_rate,none"] == 1 and row["invalid_rate,none"] == 0
    assert {s["stated"]["status"] for s in samples} == {"cut"}
    assert all(len(set(s["stated"]["probabilities"])) == 1 for s in samples)
    assert "3 of 3 replies were cut after 40 tokens" in caplog.text
    assert "--gen_kwargs max_gen_toks=N" in caplog.text


def known(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value == value and name != "name"}


@pytest.mark.parametrize("model", ["p_true", "self_correct", "self_consistency"])
def test_answers_without_their_thoughts(tasks: Any, model: str) -> None:
    """Neither the task's filters nor the model itself, asked about its answer, sees the thought."""
    more = {"candidates": 2} if model != "p_true" else {}
    with Thinker("think") as api, Thinker("think", 0) as brief:
        row, samples = run(api, tasks, model, "calib_toy_generate", "max_gen_toks=700", **more)
        expected, _ = run(brief, tasks, model, "calib_toy_generate", "max_gen_toks=700", **more)
    assert known(row) == known(expected) and row["cut_rate,none"] == 0
    for sample in samples:
        found = sample["envelopes"]
        said = [str(answers(sample)[0]), *found["candidates"]]
        assert all("well" not in str(text) for text in said)
    about = [p for p in api.payloads if "answer 1:" in str(p) or "Proposed" in str(p)]
    assert all("well" not in str(p["messages"]) for p in about)


def test_an_answer_that_was_cut_within_a_thought_is_none(tasks: Any) -> None:
    with Thinker("think") as api:
        row, samples = run(
            api, tasks, "self_consistency", "calib_toy_generate", "max_gen_toks=40", candidates=2
        )
    assert row["unanswered_rate,none"] == row["cut_rate,none"] == 1 and row["exact_match,none"] == 0
    assert all(s["envelopes"]["candidates"] == ["", ""] for s in samples)


@pytest.mark.parametrize("base", ["hf", "hf-fast"])
def test_replies_of_a_model_in_this_process(tiny_model: Path, base: str) -> None:
    """Cut is what uses all its room without an end or a stop: as more room shows."""
    from lm_eval.api.registry import get_model

    kind = with_noted_replies(get_model(base))
    lm = kind(pretrained=str(tiny_model), device="cpu", dtype="float32", batch_size=3)
    assert isinstance(lm, HFLM) and type(lm).__name__ == get_model(base).__name__

    def replies(room: int) -> list[str]:
        about = asked("generate_until", (), _About())
        made = []
        for i in range(12):
            how = {"until": ["w", "O", "L"], "max_gen_toks": room, "do_sample": False}
            made.append(asked("generate_until", (f"{chr(65 + i) * i} item {i * i} ", how), about))
        return list(Phases(lm, "test").generate(made, "answering"))

    short, longer = replies(8), replies(40)
    cut = [isinstance(text, Said) and text.cut for text in short]
    assert 0 < sum(cut) < 12
    for one, more, was_cut in zip(short, longer, cut, strict=True):
        assert was_cut == (len(more) > len(one)), (one, more)


class _About:
    doc, task_name, doc_id = {"n": 0}, "t", 0
