"""Every request that is computed, told as it is: by our engine, or by a scripted base."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.registry import register_model
from scripted_base import Scripted, dice, item, right

from lm_eval_calibration.models.shared.trust import Trust
from lm_eval_calibration.scoring.packed import Packed

Told = Callable[[list[str]], None]


def watch(monkeypatch: pytest.MonkeyPatch, tell: Told) -> None:
    """Have the engine tell each pass's requests before they are answered.

    Those on which it is only compared with `hf` are not told.
    """
    computing, compare = Packed.computing, Trust._disagreement
    comparing: list[bool] = []

    def told(self: Packed, requests: Any) -> Any:
        compute = computing(self, requests)

        def telling(batch: Any) -> Any:
            if not comparing:
                numbers = [n for row in batch for tokens in row.inputs for n in tokens.requests]
                tell([json.dumps([list(part) for part in requests[n]]) for n in numbers])
            return compute(batch)

        return telling

    def untold(self: Trust, *given: Any) -> Any:
        comparing.append(True)
        try:
            return compare(self, *given)
        finally:
            comparing.pop()

    monkeypatch.setattr(Packed, "computing", told)
    monkeypatch.setattr(Trust, "_disagreement", untold)


class Cut(BaseException):
    """What ends a run in its middle."""


class Scissors:
    """Ends the run at its `after`-th pass, and remembers the requests of those before."""

    def __init__(self, after: int | None = None) -> None:
        self.after, self.passes = after, 0
        self.told: list[str] = []

    def __call__(self, requests: list[str]) -> None:
        """Remember them, or end it."""
        if self.passes == self.after:
            raise Cut
        self.passes += 1
        self.told += requests


class Log:
    """Passes in a file, a line each, which outlives the process that asks them."""

    path = Path("asked.jsonl")

    def __call__(self, requests: list[str]) -> None:
        """Append one."""
        with self.path.open("a") as file:
            file.write(json.dumps(requests) + "\n")


LOG = Log()


def asked_again(whole: Path, often: Path) -> tuple[int, int]:
    """How many requests a run that was stopped often asked more than a whole one; the longest pass.

    Raises:
        AssertionError: it did not ask all that the whole one asked.
    """
    once, more = (
        [json.loads(line) for line in path.read_text().splitlines()] for path in (whole, often)
    )
    counts = [Counter(request for asked in passes for request in asked) for passes in (once, more)]
    assert not counts[0] - counts[1]
    return (counts[1] - counts[0]).total(), max(map(len, more))


@register_model("counted")
class Counted(Scripted):
    """Says the same to the same sample of a prompt; tells requests, and reports answers, one by one."""

    def _each(
        self, kind: str, requests: list[Any], answer: Callable[[list[Any]], Any]
    ) -> list[Any]:
        found = []
        for request in requests:
            self._sample = getattr(request, "sample", 0)
            LOG([json.dumps([kind, self._sample, *map(str, request.args)])])
            found += answer([request])
            self.cache_hook.add_partial(kind, request.args, found[-1])
        return found

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        return self._each("generate_until", requests, super().generate_until)

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        return self._each("loglikelihood", requests, super().loglikelihood)

    def _answer(self, prompt: str) -> str:
        if "How probable" in prompt:
            return super()._answer(prompt)
        number = item(prompt)
        knows = dice(number, self._sample, "skill") < self.skill
        return right(number) if knows else f"{self.wrong} {int(3 * dice(number, self._sample))}"
