"""The laws of belief sources: a source that keeps them passes, and each that breaks one is told which."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lm_eval_calibration.testing import check_belief_source

REQUESTS = [
    SimpleNamespace(
        task_name="calib_toy", doc_id=i // 2, idx=i % 2, args=(f"q{i // 2}", f" {i % 2}")
    )
    for i in range(8)
]


class Honest:
    """Keeps them all."""

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        return [(-1.0 - len(r.args[0]) - r.idx, r.idx == 0) for r in requests]

    def generate_until(self, requests: list[Any]) -> list[str]:
        return [r.args[0] for r in requests]

    def get_model_info(self) -> dict[str, Any]:
        return {"model": "honest"}


class Short(Honest):
    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        return super().loglikelihood(requests)[:-1]


class Sure(Honest):
    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        return [(0.5, True) for _ in requests]


class Placed(Honest):
    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        return [(-1.0 - place, True) for place, _ in enumerate(requests)]


class Silent(Honest):
    states_confidence = True
    source = "silent"


class Odd(Honest):
    keeps = ("thoughts",)


def test_one_that_keeps_them() -> None:
    check_belief_source(Honest, REQUESTS)
    check_belief_source(Honest, REQUESTS, "generate_until")


@pytest.mark.parametrize(
    ("kind", "of", "said"),
    [
        (Short, "loglikelihood", "8 requests must have as many answers, got 7"),
        (Sure, "loglikelihood", "must not be NaN nor above 0, got 0.5"),
        (Placed, "loglikelihood", "must have the same answer in another order"),
        (Silent, "generate_until", "a twin's answer must be an envelope"),
        (Odd, "loglikelihood", "`keeps` must name kinds of requests"),
    ],
)
def test_one_that_breaks_one(kind: type, of: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_belief_source(kind, REQUESTS, of)


def test_requests_that_are_too_few_or_of_no_kind() -> None:
    with pytest.raises(AssertionError, match="must be several, got 1"):
        check_belief_source(Honest, REQUESTS[:1])
    with pytest.raises(AssertionError, match="`kind` must be loglikelihood or generate_until"):
        check_belief_source(Honest, REQUESTS, "embed")
