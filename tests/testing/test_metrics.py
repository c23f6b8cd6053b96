"""The laws of metrics: ours keep them, and each that breaks one is told which."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.metrics import METRICS, Metric, families
from lm_eval_calibration.metrics.proper import mean
from lm_eval_calibration.testing import check_metric


def mean_gap(confidence: Any, correct: Any, weight: Any = None) -> Any:
    return np.abs(mean(confidence - correct, weight=weight))


METRIC = Metric("mean_gap", mean_gap, families.PAIRS, False, "confidence less accuracy")


@pytest.mark.parametrize("name", METRICS)
def test_ours(name: str) -> None:
    check_metric(
        METRICS[name], size_matters=name in ("aurc", "eaurc", "prr", "debiased_ece"), cases=3
    )


def test_one_that_keeps_them() -> None:
    check_metric(METRIC, cases=5)


def ordered(confidence: Any, correct: Any, weight: Any = None) -> Any:
    return mean_gap(confidence[::-1], correct, weight)


def unweighted(confidence: Any, correct: Any, weight: Any = None) -> Any:
    return mean_gap(confidence, correct) + 0 * np.sum(1.0 if weight is None else weight, axis=-1)


def summed(confidence: Any, correct: Any, weight: Any = None) -> Any:
    return np.sum(confidence * (1 if weight is None else weight), axis=-1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "ece"}, "the name 'ece' is that of one of ours"),
        ({"name": "gap_null"}, "is what the harness or a suffix says"),
        ({"meaning": ""}, "`meaning` must be one line"),
        ({"parameter": "share"}, "`parameter` needs a `default`"),
        ({"function": lambda confidence, correct: 0.0}, "must take `weight`"),
        ({"function": ordered}, "must have the same value"),
        ({"function": unweighted}, "whole weights must have the same value"),
        ({"function": summed}, "a value must lie in 0.0 to 1.0"),
        ({"function": summed, "bounds": (0.0, np.inf)}, "three copies of each document"),
        ({"bounds": (0.9, 1.0)}, "a value must lie in 0.9 to 1.0"),
    ],
)
def test_one_that_breaks_one(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_metric(replace(METRIC, **changes))
