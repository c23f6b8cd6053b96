"""Request by request: the numbers and the states of the packed engine, on a model that takes both."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lm_eval_calibration.scoring.engine import Answers, Engine
from lm_eval_calibration.scoring.plain import PlainEngine
from lm_eval_calibration.scoring.sequences import Request


def test_numbers_and_states_are_the_packed_engines(tiny_lm: Any) -> None:
    requests = [
        Request([5, 6, 7, 8], [9, 10]),
        Request([5, 6, 7, 8], [11]),
        Request(list(range(3, 40)), [9, 4, 6]),  # (longer than the model reads)
    ]
    states: dict[str, dict[int, torch.Tensor]] = {"packed": {}, "plain": {}}

    def watcher(kind: str) -> Any:
        def observe(found: Answers) -> None:
            states[kind] |= dict(zip(found.requests, found.hidden, strict=True))

        return observe

    model = tiny_lm.model
    packed = Engine(model, 16).score(requests, observe=watcher("packed"))
    plain = PlainEngine(model, 16).score(requests, observe=watcher("plain"))
    for a, b in zip(packed, plain, strict=True):
        assert a.loglikelihood == pytest.approx(b.loglikelihood, abs=1e-4)
        assert a.is_greedy == b.is_greedy
    for number in range(len(requests)):
        torch.testing.assert_close(
            states["packed"][number], states["plain"][number], atol=1e-4, rtol=1e-4
        )
