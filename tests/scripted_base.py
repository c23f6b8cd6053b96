"""A base model that answers and chooses as a script says, registered with the harness."""

from __future__ import annotations

import hashlib
import json
import re
from difflib import SequenceMatcher
from typing import Any

import lm_eval.models  # noqa: F401 - before a model is registered, or its own are not
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model


def dice(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def item(text: str) -> int:
    """The number of the toy document that a prompt is about."""
    return int(re.findall(r"What is item (\d+) of", text)[-1])


def right(number: int, split: str = "test") -> str:
    """The answer of a toy document."""
    options = [f"{split} answer {'x' * (7 * (number + k) % 11)} {k}" for k in range(3 + number % 3)]
    return options[number * 7 % len(options)]


def stated(prompt: str, skill: float) -> tuple[list[str], list[float]]:
    """The names of a prompt's options, and the probabilities that are stated of them, to .05."""
    question = prompt.rpartition("What is item")[2]
    texts = dict(re.findall(r"^([A-Z]|\d+)\. (.*)$", question, re.MULTILINE))
    keys = re.search(r"Its keys are (\".*\"), and its values", question)
    one_of = re.search(r"The answer is one of: (.*)\.$", question, re.MULTILINE)
    if texts:
        names = list(texts)
    elif keys:
        names = json.loads(f"[{keys[1]}]")
    else:
        names = one_of[1].split(", ") if one_of else []
    number = item(prompt) if "What is item" in prompt else 0
    gold = [texts.get(name, name) == right(number) for name in names]
    knows = dice(number, "knows") < skill
    weights = [
        1 + 20 * dice(number, name) + 60 * (g and knows)
        for name, g in zip(names, gold, strict=True)
    ]
    p = [round(20 * w / sum(weights)) / 20 for w in weights]
    p[p.index(max(p))] += 1 - sum(p)
    return names, [round(v, 2) for v in p]


def likeness(prompt: str, candidate: str) -> float:
    """How much a candidate looks like the right answer of the question that is asked, and noise."""
    asked = re.findall(r"What is item (\d+) of", prompt)
    alike = SequenceMatcher(None, right(int(asked[-1])), candidate).ratio() if asked else 0.0
    return alike + 0.5 * dice(prompt, candidate)


@register_model("scripted")
class Scripted(LM):
    """Answers right with probability `skill`; chooses as `picker` says.

    Args:
        picker: `oracle` (a right candidate, if there is one), `unsure` (the candidate that looks
            most like the right one, as far as it can tell), `random`, `first`, or `mute`.
        skill: how often a sample is right.
        wrong: what a wrong sample looks like.
        speech: how probabilities are stated: `json`; `prose`, in percent; `shy`, in JSON when asked
            again; `mute`, never.
    """

    def __init__(
        self,
        picker: str = "oracle",
        skill: float = 0.5,
        wrong: str = "a guess",
        speech: str = "json",
        **_: Any,
    ) -> None:
        super().__init__()
        self.picker, self.skill, self.wrong = picker, float(skill), wrong
        self.speech = speech
        self.calls: list[tuple[str, str]] = []
        self.stop_after: int | None = None

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        answers = []
        for request in requests:
            if self.stop_after is not None and len(self.calls) >= self.stop_after:
                raise KeyboardInterrupt
            prompt = str(request.args[0])
            self.calls.append(("generate", prompt))
            answers.append(self.reply(prompt))
        return answers

    def reply(self, prompt: str) -> str:
        """What is said to a prompt."""
        if "JSON object" in prompt:
            return self.state(prompt)
        return self._choose(prompt) if "Answer 1:" in prompt else self._answer(prompt)

    def state(self, prompt: str) -> str:
        """Probabilities of options, more than half of them mostly on the right one."""
        again = "That could not be read" in prompt
        if self.speech == "mute" or (self.speech == "shy" and not again):
            return "I would rather not say."
        names, p = stated(prompt, self.skill)
        if '"sure"' in prompt:
            return json.dumps({"answer": names[p.index(max(p))], "sure": "Probable"})
        if "best guess" in prompt:
            shown = sorted(zip(p, names, strict=True), reverse=True)
            return json.dumps({name: value for value, name in shown[:2]})
        if self.speech == "prose":
            return "I think: " + ", ".join(f"{n}: {v:.0%}" for n, v in zip(names, p, strict=True))
        return json.dumps(dict(zip(names, p, strict=True)))

    def _answer(self, prompt: str) -> str:
        if "How probable" in prompt:
            return "85%" if right(item(prompt)) in prompt else "about 15 per cent"
        number, call = item(prompt), len(self.calls)
        split = "train" if "of train?" in prompt else "test"
        if dice(number, call, "skill") < self.skill:
            return right(number, split)
        return f"{self.wrong} {int(3 * dice(number, call, 'wrong'))}"

    def _choose(self, prompt: str) -> str:
        shown = prompt.rpartition("Question:")[2]
        candidates = re.findall(r"^Answer \d+: (.*)$", shown, re.MULTILINE)
        if self.picker == "mute":
            return "I would rather not say."
        if self.picker == "random":
            return str(1 + int(len(candidates) * dice(prompt)))
        if self.picker == "unsure":
            return str(
                1 + max(range(len(candidates)), key=lambda i: likeness(prompt, candidates[i]))
            )
        best = right(item(shown)) if self.picker == "oracle" else None
        place = candidates.index(best) if best in candidates else 0
        if "Repeat it" in prompt:
            return candidates[place]
        return f"Best answer: {place + 1}" if "one by one" in prompt else str(place + 1)

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        answers = []
        for request in requests:
            prompt, option = request.args
            self.calls.append(("loglikelihood", prompt))
            if "proposed answer" in prompt:
                yes = right(item(prompt)) in prompt
                answers.append((-0.1 if (option.strip() == "A") == yes else -2.0, False))
            else:
                chosen = option.strip() == self._choose(prompt)
                answers.append((-0.5 if chosen else -1.5 - dice(prompt, option), False))
        return answers

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        raise NotImplementedError

    def apply_chat_template(self, chat_history: list[dict[str, str]], *_: Any, **__: Any) -> str:
        return "".join(f"<{m['role']}>{m['content']}" for m in chat_history)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return "a template"

    @property
    def tokenizer_name(self) -> str:
        return "scripted"


@register_model("scripted-api")
class ScriptedApi(Scripted):
    """The same without log-likelihoods, as chat APIs are."""

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        raise NotImplementedError
