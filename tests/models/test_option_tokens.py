"""Beliefs by the tokens of letters: the same by a server, a completions API and a checkpoint, and what may go wrong."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import numpy as np
import pytest
import torch
from lettered import MASS, TASK, Lettered, LettersApi, fair, over, run
from lm_eval import simple_evaluate
from lm_eval.api.registry import register_model
from lm_eval.models.huggingface import HFLM

from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.models.option_tokens import OptionTokensLM
from lm_eval_calibration.models.shared.choosing import Choice
from lm_eval_calibration.models.shared.letter_reading import LetterReader, Sheet
from lm_eval_calibration.models.shared.reply import Said

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")


@register_model("lettered")
class _Lettered(Lettered):
    """By its name."""


def said(found: Any, task: str = TASK) -> list[dict[str, Any]]:
    return [sample["stated"] for sample in found["samples"][task]]


def options_of(sample: dict[str, Any]) -> list[str]:
    """As the task scores them."""
    given = sample["arguments"]
    asked = given.values() if isinstance(given, dict) else given
    return [str(each["arg_1"] if isinstance(each, dict) else each[1]).strip() for each in asked]


def expected(found: Any, orders: int = 1) -> list[np.ndarray]:
    """By each document's options."""
    return [fair(options_of(sample), orders) for sample in found["samples"][TASK]]


@pytest.mark.parametrize("orders", [1, 3, 9])
@pytest.mark.parametrize("concurrent", [1, 4])
def test_a_servers_letters(tasks: Any, orders: int, concurrent: int) -> None:
    with LettersApi() as api:
        found = over(api, tasks, orders=orders, num_concurrent=concurrent)
    for stated, p in zip(said(found), expected(found, orders), strict=True):
        np.testing.assert_allclose(stated["probabilities"], p, atol=1e-9)
        assert stated["status"] == "valid" and stated["measures"]["outside_rate"] == 0
        assert stated["measures"]["label_mass"] == pytest.approx(MASS)
    row = found["results"][TASK]
    assert row["label_mass,none"] == pytest.approx(MASS) and row["invalid_rate,none"] == 0
    assert "zero_rate,none" not in row and "cut_rate,none" not in row
    assert found["config"]["usage"]["requests"] == len(api.payloads) - 1  # (one found out how many)


@pytest.mark.parametrize("orders", [1, 2])
@pytest.mark.parametrize("chat", [True, False])
def test_every_kind_of_base_is_asked_the_same(tasks: Any, chat: bool, orders: int) -> None:
    with LettersApi() as api:
        completions = {"base_url": api.completions, "model": "m", "tokenizer_backend": None}
        bases = [
            ("lettered", {}),
            ("local-completions", {**completions, "tokenized_requests": False}),
        ]
        if chat:
            bases[1] = "local-chat-completions", {"base_url": api.url, "model": "m"}
        found = [said(run(tasks, base, chat=chat, orders=orders, **more)) for base, more in bases]
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-9)


@pytest.mark.parametrize("cap", [5, 2])
def test_servers_that_give_few_tokens(tasks: Any, cap: int) -> None:
    """What is not among them has less than any of them, and something."""
    with LettersApi(cap=cap, gives=cap) as api:
        found = over(api, tasks)
    assert api.wanted[:2] == [20, cap] and set(api.wanted[1:]) == {cap}
    assert any(s["measures"]["outside_rate"] > 0 for s in said(found))
    for stated, p in zip(said(found), expected(found), strict=True):
        q = np.array(stated["probabilities"])
        assert q.min() > 0 and q.sum() == pytest.approx(1) and q.argmax() == p.argmax()


def test_servers_without_log_probabilities(tasks: Any) -> None:
    class Silent(LettersApi):
        def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
            return super().answer({**payload, "logprobs": False})

    with Silent() as api, pytest.raises(InvalidInputError, match="--model verbalized"):
        over(api, tasks)
    with LettersApi(cap=0) as api, pytest.raises(InvalidInputError, match=r"at most 0.*verbalized"):
        over(api, tasks)


@pytest.mark.parametrize("style", ["", "think", "gpt-oss", "reasoning_content"])
def test_after_thinking(tasks: Any, style: str) -> None:
    with LettersApi(style=style) as api:
        found = over(api, tasks, think=True)
    for stated, p in zip(said(found), expected(found), strict=True):
        np.testing.assert_allclose(stated["probabilities"], p, atol=1e-9)
        assert "well well" in stated["replies"][0] and stated["cut"] == 0
        assert stated["measures"]["thought_tokens"] > 5
    assert found["results"][TASK]["cut_rate,none"] == 0


@pytest.mark.parametrize("style", ["", "think", "reasoning_content"])
def test_thinking_that_is_cut_is_asked_for_its_letter(tasks: Any, style: str) -> None:
    class Long(LettersApi):
        def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
            forced = "Which letter, then?" in payload["messages"][-1]["content"]
            self.style, self.length = ("", 0) if forced else (style, 50)
            return super().answer(payload)

    with Long() as api:
        found = over(api, tasks, think_tokens=20)
    assert found["results"][TASK]["cut_rate,none"] == 1
    for stated, p in zip(said(found), expected(found), strict=True):
        np.testing.assert_allclose(stated["probabilities"], p, atol=1e-9)


def test_a_server_that_thinks_unasked_is_given_room(tasks: Any) -> None:
    with LettersApi(style="think", length=40) as api:
        found = over(api, tasks)
    for stated, p in zip(said(found), expected(found), strict=True):
        np.testing.assert_allclose(stated["probabilities"], p, atol=1e-9)


def test_thoughts_that_differ_are_draws(tasks: Any) -> None:
    with LettersApi() as api:
        found = over(api, tasks, thoughts=3, seed=7)
    row = found["results"][TASK]
    assert row["mutual_information,none"] > 0 and row["draws,none"] == 3
    for sample in found["samples"][TASK]:
        draws = np.array(sample["draws"])[0]
        np.testing.assert_allclose(draws.mean(axis=0), sample["stated"]["probabilities"], atol=1e-6)
        assert len(sample["stated"]["replies"]) == 3


def test_a_checkpoint_thinks_first(tasks: Any) -> None:
    """Its reply stays in the prompt, up to the letter, whatever it says there."""
    found = run(tasks, "lettered", think=True, chat=False)
    assert all("well well" in s["replies"][0] for s in said(found))
    with pytest.raises(InvalidInputError, match="`temperature` must be above 0"):
        OptionTokensLM(base="lettered", thoughts=2, temperature=0.0)
    lm = OptionTokensLM(base="lettered", think=True)
    for reply, end in {
        "<think>so</think>It is B.\n**Answer:** B": "**Answer:",
        "<think>so": "so\n</think>\n\nAnswer:",
        "It is B.": "It is B.\n\nAnswer:",
    }.items():
        assert lm._reader._body("?", Said(reply)).endswith(end)


def test_a_checkpoint_without_a_tokenizer_is_asked_once_a_letter(tasks: Any) -> None:
    found = run(tasks, "lettered", chat=False)
    for stated, p in zip(said(found), expected(found), strict=True):
        np.testing.assert_allclose(stated["probabilities"], p, atol=1e-9)


@pytest.mark.parametrize("base", ["hf", "hf-fast"])
def test_letters_of_a_real_model(tiny_model: Path, tasks: Any, base: str) -> None:
    """Against the model's own distribution over its vocabulary, at the end of the prompt."""
    found = run(tasks, base, chat=False, pretrained=str(tiny_model), device="cpu", dtype="float32")
    lm = HFLM(pretrained=str(tiny_model), device="cpu", dtype="float32")
    by_token = {n: lm.tokenizer.decode([n]) for n in range(len(lm.tokenizer))}
    wrapper = OptionTokensLM(base="hf", pretrained=str(tiny_model), device="cpu", dtype="float32")
    for sample, stated in zip(found["samples"][TASK], said(found), strict=True):
        options = options_of(sample)
        text = wrapper._prompts.render(
            "toy_norm", wrapper.default_template, question=sample["doc"]["question"], doc=sample["doc"],
            texts=options, letters="ABCDEFG"[: len(options)], think=False, chat=False,
        )  # fmt: skip
        with torch.no_grad():
            logits = lm.model(torch.tensor([lm.tok_encode(text)])).logits[0, -1].float()
        p = logits.softmax(-1)
        # (a character is a token, of which only the bare letters spell one)
        sums = [
            sum(float(p[n]) for n, word in by_token.items() if word.strip().upper() == letter)
            for letter in "ABCDEFG"[: len(options)]
        ]
        np.testing.assert_allclose(stated["probabilities"], np.array(sums) / sum(sums), rtol=1e-4)
        assert stated["measures"]["label_mass"] == pytest.approx(sum(sums), rel=1e-4)


@pytest.mark.parametrize("base", ["hf", "hf-fast"])
def test_the_end_of_a_chat_template_has_no_part_in_the_mass(tiny_model: Path, base: str) -> None:
    """The harness scores white space at a prompt's end with what follows it."""
    arguments = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32"}
    wrapper = OptionTokensLM(base=base, **arguments)
    first = SimpleNamespace(task_name="t", doc_id=0, doc={}, args=("", ""))
    sheet = Sheet(Choice(first, Conversation(("?",)), "?", ["x", "y"]), {}, "AB")
    prompt = "who? reply:\n\n"
    (read,) = wrapper._reader._scored([sheet], [prompt], "asking")
    lm: Any = wrapper.base
    with torch.no_grad():
        tokens = torch.tensor([lm.tok_encode(prompt)])
        p = lm.model(tokens).logits[0, -1].double().softmax(-1)
    own = [sum(p[lm.tok_encode(each)[0]] for each in (k, k.lower())) for k in "AB"]
    np.testing.assert_allclose(np.exp(read.letters.log_probabilities), own, rtol=1e-4)


def test_letters_that_would_melt_into_the_prompt_are_not_asked_for(tasks: Any) -> None:
    class Melting(Lettered):
        def tok_encode(self, text: str, **_: Any) -> list[str]:
            return re.findall(r":[A-Za-z]| ?\w|.", text, re.DOTALL)

    wrapper = OptionTokensLM(base="lettered")
    wrapper.base = Melting()
    reader = LetterReader(wrapper)
    first = SimpleNamespace(task_name="t", doc_id=0, doc={}, args=("", ""))
    sheet = Sheet(Choice(first, Conversation(("?",)), "?", ["x", "y"]), {}, "AB")
    assert reader._spelled(sheet, "A", "What? Answer:") == [" A", " a"]
    assert reader._spelled(sheet, "A", "What?\n") == ["A", "a", " A", " a"]


def test_generated_answers_are_judged_by_letters(tasks: Any) -> None:
    class Answering(LettersApi):
        def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
            if "Is the proposed answer right?" in payload["messages"][-1]["content"]:
                return super().answer(payload)
            return {"choices": [{"index": 0, "message": {"content": "a guess"}}]}

    with Answering() as api:
        found = over(api, tasks, task="calib_toy_generate")
    for sample in found["samples"]["calib_toy_generate"]:
        envelope = sample["envelopes"]
        assert envelope["source"] == "option_tokens" and 0 < envelope["confidence"] < 1
        assert len(envelope["said"]) == 1
    assert found["results"]["calib_toy_generate"]["invalid_rate,none"] == 0


def test_a_letter_has_no_more_room_than_it_takes(tasks: Any) -> None:
    """`--gen_kwargs` is for the task's own answers."""
    with LettersApi() as api:
        simple_evaluate(
            model="option_tokens",
            model_args={"base": "local-chat-completions", "base_url": api.url, "model": "m"},
            tasks=[TASK], task_manager=tasks, limit=2, bootstrap_iters=0, apply_chat_template=True,
            gen_kwargs="max_gen_toks=1024",
        )  # fmt: skip
    assert {p.get("max_tokens") or p.get("max_completion_tokens") for p in api.payloads[1:]} == {8}


def test_a_reply_that_ends_at_once_is_read_where_it_ended(tasks: Any) -> None:
    """As some completions servers say it: an empty token, with the letters behind it."""

    class Ending(LettersApi):
        def complete(self, payload: dict[str, Any]) -> dict[str, Any]:
            body = super().complete(payload)
            choice = body["choices"][0]
            top = {"": -0.01, **choice["logprobs"]["top_logprobs"][0]}
            logs = {"tokens": [""], "token_logprobs": [-0.01], "top_logprobs": [top]}
            return {"choices": [{**choice, "text": "", "logprobs": logs}]}

    options = {"model": "m", "tokenizer_backend": None, "tokenized_requests": False}
    with Ending() as api:
        found = run(tasks, "local-completions", chat=False, base_url=api.completions, **options)
    with LettersApi() as api:
        plain = run(tasks, "local-completions", chat=False, base_url=api.completions, **options)
    for one, other in zip(said(found), said(plain), strict=True):
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-9)
        assert one["status"] == "repaired"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"orders": 0}, "orders"),
        ({"think_tokens": 0}, "think_tokens"),
        ({"thoughts": 0}, "thoughts"),
        ({"ordres": 2}, "ordres"),
        ({"orders": -1}, "`orders` must be at least 1"),
        ({"base_url": None}, "`base_url` must be the address of the server"),
    ],
)
def test_arguments_that_cannot_be(given: dict[str, Any], named: str) -> None:
    address = {"base_url": "http://127.0.0.1:1"}
    with pytest.raises(InvalidInputError, match=named):
        OptionTokensLM(base="local-chat-completions", model="m", **{**address, **given})


def test_the_smallest_probability_is_not_nothing() -> None:
    assert math.isfinite(math.log(OptionTokensLM(base="lettered")._floor))


@pytest.mark.parametrize("style", ["think", "reasoning_content"])
def test_an_answer_that_never_comes_is_counted(
    tasks: Any, style: str, caplog: pytest.LogCaptureFixture
) -> None:
    with LettersApi(style=style, length=10_000) as api:
        found = over(api, tasks, max_gen_toks=50)
    assert found["results"][TASK]["invalid_rate,none"] == 1
    assert "none of 6 replies names letters (it ended before an answer)" in caplog.text
    assert "Most likely they end too soon" in caplog.text
    assert all(set(s["notes"]) == {"it ended before an answer"} for s in said(found))


def test_odd_log_probabilities_concern_their_document(tasks: Any) -> None:
    class Odd(LettersApi):
        def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
            body = super().answer(payload)
            if "item 2 " in payload["messages"][-1]["content"]:
                body["choices"][0]["logprobs"]["content"][-1]["top_logprobs"][0]["logprob"] = 3.5
            return body

    with Odd() as api:
        found = over(api, tasks)
    odd = [s["doc_id"] for s in found["samples"][TASK] if s["stated"]["status"] == "invalid"]
    assert len(odd) == 1 and found["results"][TASK]["invalid_rate,none"] == pytest.approx(1 / 6)


def test_examples_in_words_are_not_shown(tasks: Any, caplog: pytest.LogCaptureFixture) -> None:
    with LettersApi() as api:
        simple_evaluate(
            model="option_tokens",
            model_args={"base": "local-chat-completions", "base_url": api.url, "model": "m"},
            tasks=[TASK], task_manager=tasks, limit=2, bootstrap_iters=0, num_fewshot=2,
            apply_chat_template=True, fewshot_as_multiturn=True,
        )  # fmt: skip
    assert all([t["role"] for t in p["messages"]] == ["user"] for p in api.payloads)
    assert "answered in words, not by letters" in caplog.text
