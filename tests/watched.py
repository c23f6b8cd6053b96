"""Every request that a model of ours computes, told as it is computed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.scoring.engine import Engine

Told = Callable[[list[str]], None]


def watch(monkeypatch: pytest.MonkeyPatch, tell: Told) -> None:
    """Have the engine tell each pass's requests before they are answered.

    Those on which it is only compared with `hf` are not told.
    """
    answers, compare = Engine._answers, FastHFLM._disagreement
    comparing: list[bool] = []

    def told(self: Engine, batch: Any, before: Any, requests: Any) -> Any:
        if not comparing:
            numbers = [n for row in batch for tokens in row.inputs for n in tokens.requests]
            tell([json.dumps([list(part) for part in requests[n]]) for n in numbers])
        return answers(self, batch, before, requests)

    def untold(self: FastHFLM, plain: Any) -> Any:
        comparing.append(True)
        try:
            return compare(self, plain)
        finally:
            comparing.pop()

    monkeypatch.setattr(Engine, "_answers", told)
    monkeypatch.setattr(FastHFLM, "_disagreement", untold)


class Cut(Exception):  # noqa: N818
    """What ends a run in its middle."""


class Scissors:
    """Ends the run at its `after`-th pass, and remembers the requests of those before."""

    def __init__(self, after: int | None = None) -> None:
        self.after, self.told = after, []  # type: ignore[var-annotated]
        self.passes = 0

    def __call__(self, requests: list[str]) -> None:
        """Remember them, or end it."""
        if self.passes == self.after:
            raise Cut
        self.passes += 1
        self.told += requests


class Log:
    """Requests in a file, which outlives the process that asks them."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def __call__(self, requests: list[str]) -> None:
        """Append them."""
        assert self.path is not None
        with self.path.open("a") as file:
            file.write("".join(f"{request}\n" for request in requests))
