"""How likely an answer's tokens were: as a server tells it, and as a model of transformers reads it again."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from requesting import requested

from lm_eval_calibration.models.likelihood import LikelihoodLM
from lm_eval_calibration.models.shared.likeliest import likeliest
from lm_eval_calibration.models.shared.reply import Reply, Said
from lm_eval_calibration.models.shared.token_reading import TokenReader, told_with


def settings(model: Path) -> dict[str, Any]:
    return {"pretrained": str(model), "device": "cpu", "dtype": "float32", "batch_size": 4}


PLACES = [("I", -0.1), (" think", -0.2), (" 4", -0.5), ("2", -0.25), ("<|end|>", -0.01)]


def of_chat() -> dict[str, Any]:
    content = [
        {"token": t, "logprob": p, "top_logprobs": [{"token": t, "logprob": p}, {"token": "x", "logprob": -3.0}]}
        for t, p in PLACES
    ]  # fmt: skip
    return {"message": {"content": "I think 42"}, "logprobs": {"content": content}}


def of_completions() -> dict[str, Any]:
    return {
        "text": "I think 42",
        "logprobs": {
            "tokens": [t for t, _ in PLACES],
            "token_logprobs": [p for _, p in PLACES],
            "top_logprobs": [{t: p, "x": -3.0} for t, p in PLACES],
        },
    }


@pytest.mark.parametrize("choice", [of_chat(), of_completions()])
def test_tokens_that_a_server_tells(choice: dict[str, Any]) -> None:
    tokens = likeliest(choice)
    reply = Reply("I think 42", tokens=tokens)
    assert Reply.of_kept(json.loads(json.dumps(reply.as_kept()))).tokens == tokens
    found = told_with(Said(reply))
    assert found is not None
    assert found.log_probability.tolist() == [-0.1, -0.2, -0.5, -0.25]  # (without the end)
    assert found.margin is not None and found.entropy is not None
    assert found.margin[0] == pytest.approx(math.exp(-0.1) - math.exp(-3.0))


def test_what_was_thought_is_no_part_of_the_answer() -> None:
    places = [("<think>", -1.0), ("42", -1.0), ("</think>", -1.0), ("42", -0.5)]
    content = [{"token": t, "logprob": p, "top_logprobs": []} for t, p in places]
    reply = Reply("<think>42</think>42", tokens=likeliest({"logprobs": {"content": content}}))
    found = told_with(Said(reply))
    assert found is not None and found.log_probability.tolist() == [-0.5] and found.margin is None


def test_tokens_of_older_caches_have_no_scores() -> None:
    kept = {"text": "x", "cut": False, "thinking": False, "thought": "", "tokens": [["x", []]]}
    assert Reply.of_kept(kept).tokens[0].scores == ()
    assert told_with(Said(Reply.of_kept(kept))) is None


def test_the_template_s_own_line_break_is_no_part_of_the_answer(tiny_model: Path) -> None:
    """Prompts of chat templates end in white space, which the harness counts with what follows."""
    lm = LikelihoodLM(base="hf", **settings(tiny_model))
    request = requested("generate_until", ("Who?\n", {"max_gen_toks": 8}), 0)
    ((found,),) = TokenReader(lm).read([request], [["Me"]])
    assert found is not None and len(found.log_probability) == 2  # (bytes)
    ((opened,),) = TokenReader(lm).read([request], [["\n\nMe"]])
    assert opened is not None and len(opened.log_probability) == 2


def test_a_prompt_is_cut_as_it_was_generated_from(tiny_model: Path) -> None:
    lm = LikelihoodLM(base="hf", max_length=40, **settings(tiny_model))
    long = requested("generate_until", ("a" * 100, {"max_gen_toks": 10}), 0)
    short = requested("generate_until", ("a" * 30, {"max_gen_toks": 10}), 0)
    (one,), (other,) = TokenReader(lm).read([long, short], [["Me"], ["Me"]])
    assert one is not None and other is not None
    assert one.log_probability == pytest.approx(other.log_probability, abs=1e-5)


def place(token: str, own: float, *top: tuple[str, float]) -> dict[str, Any]:
    listed = [{"token": t, "logprob": p} for t, p in top]
    return {"token": token, "logprob": own, "top_logprobs": listed}


def test_a_token_s_own_probability_counts_however_it_is_spelled() -> None:
    """Two tokens may have one text, and a token may be spelled otherwise among the likeliest."""
    content = [
        place(" ", -0.3, (" ", -0.3), (" ", -6.5)),
        place("\ufffd", -0.1, ("\\xc3", -0.1), ("x", -3.0)),
    ]
    twice, spelled = likeliest({"logprobs": {"content": content}})
    assert twice.scores[0] == -0.3
    assert spelled.scores[0] == -0.1
    assert spelled.scores[1] == pytest.approx(math.exp(-0.1) - math.exp(-3.0))


@pytest.mark.parametrize(
    ("answer", "end"), [("d", "<|im_end|>"), ("s", "</s>"), ("m", "<|im_end|>")]
)
def test_the_end_of_a_text_is_no_part_of_it(answer: str, end: str) -> None:
    content = [place(answer, -1.6), place(end, -0.01)]
    reply = Reply(answer, tokens=likeliest({"logprobs": {"content": content}}))
    found = told_with(Said(reply))
    assert found is not None and found.log_probability.tolist() == [-1.6]


def test_an_answer_whose_letters_are_spelled_otherwise_is_what_stands_after_the_thought() -> None:
    content = [place("<think>", -1.0), place("h", -1.0), place("</think>", -1.0), place("caf", -0.5),
               place("\\xc3", -0.25), place("</s>", -0.1)]  # fmt: skip
    reply = Reply("<think>h</think>café", tokens=likeliest({"logprobs": {"content": content}}))
    found = told_with(Said(reply))
    assert found is not None and found.log_probability.tolist() == [-0.5, -0.25]
