"""Bases that believe in options by their texts and places, and say so by letters' tokens; as a server and as a model."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from fake_api import FakeApi, Faults
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from scripted_base import dice

MASS = 0.9
TASK = "calib_toy_norm"
SPELLED = {"{}": 0.7, " {}": 0.2, "({}": 0.1}
REST = {"The": 0.6, "Sorry": 0.3, "7": 0.1}
_LISTED = re.compile(r"^([A-Z])\. (.+)$", re.MULTILINE)
TAGS = {
    "think": ("<think>", "</think>\n\n"),
    "gpt-oss": ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
}  # fmt: skip


def shown(prompt: str) -> dict[str, str]:
    """The options of the last list in a prompt, by their letters."""
    found: dict[str, str] = {}
    for letter, text in _LISTED.findall(prompt):
        if letter == "A":
            found = {}
        found[letter] = text
    return found


def weight(text: str, salt: str) -> float:
    """How much is believed of an option, whatever its place."""
    return math.exp(3 * dice(text, salt))


def believed(prompt: str, salt: str = "") -> dict[str, float]:
    """Probabilities of the letters: what is believed of the options, and a liking for the first place."""
    options = shown(prompt)
    values = [weight(t, salt) * (2.0 if k == "A" else 1.0) for k, t in options.items()]
    return dict(zip(options, np.array(values) / sum(values) * MASS, strict=True))


def fair(texts: list[str], orders: int, salt: str = "") -> np.ndarray:
    """What is to come out of the mean of cyclic orders."""
    own = np.log([weight(text, salt) for text in texts])
    rows = []
    for k in range(min(orders, len(texts))):
        biased = own.copy()
        biased[k] += math.log(2.0)
        rows.append(biased - np.logaddexp.reduce(biased))
    mean = np.mean(rows, axis=0)
    return np.exp(mean - np.logaddexp.reduce(mean))


def tokens(prompt: str, salt: str = "") -> dict[str, float]:
    """Log-probabilities of the tokens that may come first."""
    letters = believed(prompt, salt)
    found = {
        form.format(letter): p * share for letter, p in letters.items() for form, share in SPELLED.items()
    }  # fmt: skip
    found |= {word: (1 - MASS) * share for word, share in REST.items()}
    return {word: math.log(p) for word, p in sorted(found.items(), key=lambda pair: -pair[1])}


class LettersApi(FakeApi):
    """Answers with a letter, and the likeliest tokens.

    Args:
        cap: of the likeliest tokens; more are refused.
        gives: so many at most, without a word.
        style: of its thinking: a key of `TAGS`, `reasoning_content`, or "" for none, unless it is asked to.
        length: of its thinking, in words.
    """

    def __init__(
        self,
        cap: int = 20,
        gives: int = 20,
        style: str = "",
        length: int = 5,
        faults: Faults = lambda *_: "",
    ) -> None:
        super().__init__(faults=faults)
        self.cap, self.gives, self.style, self.length = cap, gives, style, length
        self.wanted: list[int] = []

    def serve(self, payload: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        most = payload.get("top_logprobs", payload.get("logprobs") or 0)
        self.wanted.append(most)
        if most > self.cap:
            return "400", {"error": {"message": f"top_logprobs must be at most {self.cap}"}}
        return super().serve(payload)

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        turns = payload["messages"]
        asked = next(t["content"] for t in reversed(turns) if shown(t["content"]))
        stepwise = "step by step" in turns[-1]["content"]
        salt = str(payload.get("seed", "")) if payload.get("temperature") else ""
        places = self.said(asked, stepwise, salt)
        room = payload.get("max_tokens", payload.get("max_completion_tokens"))
        cut, places = len(places) > room, places[:room]
        text = "".join(word for word, _ in places)
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self.style == "reasoning_content":
            thought, found, said = text.partition("\x1e")
            message = {"content": said if found else None, self.style: thought}
        given = [
            {
                "token": word,
                "logprob": dict(top).get(word, -0.1),
                "top_logprobs": [{"token": t, "logprob": p} for t, p in top.items()],
            }
            for word, top in places
        ]
        usage = {"prompt_tokens": len(asked.split()), "completion_tokens": len(places)}
        choice = {"index": 0, "message": message, "finish_reason": "length" if cut else "stop"}
        if payload.get("logprobs"):
            choice["logprobs"] = {"content": given}
        return {"choices": [choice], "usage": usage}

    def said(self, asked: str, stepwise: bool, salt: str) -> list[tuple[str, dict[str, float]]]:
        """The tokens of a reply, with the likeliest in their places."""
        top = dict(list(tokens(asked, salt).items())[: self.gives])
        letter = next(iter(top))
        other = {"well": -0.1, "A": -3.0}
        thought = [("well ", other)] * self.length if stepwise or self.style else []
        begin, end = TAGS.get(self.style, ("", "\x1e" if self.style else "\n"))
        around = [[(word, {})] if word else [] for word in (begin, end if thought else "")]
        mark: list[tuple[str, dict[str, float]]] = []
        if stepwise:
            mark = [("Answer", {}), (":", {})]
        return [*around[0], *thought, *around[1], *mark, (letter, top)]

    def complete(self, payload: dict[str, Any]) -> dict[str, Any]:
        top = dict(list(tokens(payload["prompt"]).items())[: self.gives])
        word = next(iter(top))
        given = {"tokens": [word], "token_logprobs": [top[word]], "top_logprobs": [top]}
        return {"choices": [{"index": 0, "text": word, "logprobs": given}]}


class Lettered(LM):
    """Scores letters where a prompt goes on; thinks when asked to.

    Attributes:
        asked: prompts and continuations, in order.
    """

    def __init__(self, thought: Callable[[str], str] = lambda _: "well well\nAnswer: A") -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.thought = thought

    @property
    def tokenizer_name(self) -> str:
        return "lettered"

    def apply_chat_template(self, turns: Any, add_generation_prompt: bool = True) -> str:
        return json.dumps(turns)

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        self.asked += [request.args for request in requests]
        return [(self._score(*request.args), False) for request in requests]

    def _score(self, prompt: str, word: str) -> float:
        text = prompt if "\nA. " in prompt else "\n".join(t["content"] for t in json.loads(prompt))
        return math.log(believed(text)[word.strip().upper()])

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        return [-1.0 for _ in requests]

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        self.asked += [(request.args[0], "") for request in requests]
        return [self.thought(request.args[0]) for request in requests]


def run(tasks: Any, base: str, task: str = TASK, chat: bool = True, **more: Any) -> Any:
    """An evaluation of six documents over a base."""
    arguments = {"base": base, **more}
    found = simple_evaluate(
        model="option_tokens", model_args=arguments, tasks=[task], task_manager=tasks, limit=6,
        bootstrap_iters=0, apply_chat_template=chat,
    )  # fmt: skip
    assert found is not None
    return found


def over(api: LettersApi, tasks: Any, **more: Any) -> Any:
    """The same over a server."""
    url = {"base_url": api.url, "model": "m", "max_retries": 1}
    return run(tasks, "local-chat-completions", **url, **more)
