"""One answer for each prompt of a batch, whatever a server's reply holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lm_eval.models  # noqa: F401  (registers the API classes)
import pytest
from lm_eval.api.model import LM
from lm_eval.api.registry import get_model
from scripted_base import Scripted

from lm_eval_calibration.models.shared.api_replies import _PROMPTS, with_checked_replies
from lm_eval_calibration.models.shared.reply import Failed

pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")


@pytest.fixture
def server() -> Iterator[Any]:
    """A class of completions that has asked about two prompts."""
    model = with_checked_replies(get_model("local-completions"))
    token = _PROMPTS.set(2)
    yield model(model="m", base_url="http://localhost", tokenizer_backend=None)
    _PROMPTS.reset(token)


def choices(*texts: str, order: Any = None) -> dict[str, Any]:
    found = [{"index": i, "text": text} for i, text in enumerate(texts)]
    return {"choices": [found[i] for i in order or range(len(found))]}


def test_batches(server: Any) -> None:
    assert server.parse_generations(choices("a", "b")) == ["a", "b"]
    assert server.parse_generations(choices("a", "b", order=(1, 0))) == ["a", "b"]
    assert server.parse_generations([choices("a", "a2", "b", "b2", order=(3, 0, 2, 1))]) == [
        "a", "b",
    ]  # fmt: skip
    for reply in (choices("a"), choices("a", "b", "c"), {}, [], None, 5, [choices("a")] * 2):
        found = server.parse_generations(reply)
        assert len(found) == 2 and all(isinstance(text, Failed) for text in found)
    odd = {"choices": [{"index": 0, "text": 5}, {"index": 1, "text": "b", "finish_reason": "stop"}]}
    assert server.parse_generations(odd) == ["", "b"]


def test_prompts_of_different_length(server: Any) -> None:
    def scored(*values: float) -> dict[str, Any]:
        numbers = [None, *values]
        return {
            "logprobs": {"token_logprobs": numbers, "top_logprobs": [{"x": -1.0}] * len(numbers)}
        }

    reply = {"choices": [{"index": 0, **scored(-1, -2, -9)}, {"index": 1, **scored(-1, -9)}]}
    found = server.parse_logprobs(reply, tokens=[[5, 6, 7], [5, 6]], ctxlens=[1, 1])
    assert found == [(-3.0, False), (-1.0, True)]
    (_, greedy), bad = server.parse_logprobs(reply, tokens=[[5, 6, 7], [5]], ctxlens=[1, 1])
    assert not greedy and "3 `token_logprobs` for 1 tokens and one more" in bad.reason


def test_other_classes_are_left_alone() -> None:
    for model in (Scripted, LM, get_model("anthropic-chat-completions")):
        assert with_checked_replies(model) is model


@pytest.mark.parametrize(
    "name", ["local-completions", "local-chat-completions", "openai-chat-completions"]
)
def test_no_stops_are_no_list(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    model = with_checked_replies(get_model(name))
    given = {"model": "m", "base_url": "http://localhost", "tokenizer_backend": None}
    api = model(**given)
    asked = [{"role": "user", "content": "?"}] if "chat" in name else ["?"]

    def sent(until: list[str]) -> dict[str, Any]:
        settings = {"until": until, "max_gen_toks": 4}
        return dict(api._create_payload(asked, generate=True, gen_kwargs=settings, eos=None))

    assert "stop" not in sent([]) and sent(["x"])["stop"] == ["x"]
