"""One mistake, one message: every metric of pairs refuses the same inputs, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import (
    METRICS,
    bind,
    checks,
    classwise_ece,
    ece,
    families,
    tl_ece,
)
from lm_eval_calibration.metrics.table import BoundMetric

OF_PAIRS = [
    bind(f"{name}_0.7" if metric.parameter else name)
    for name, metric in METRICS.items()
    if metric.family in (families.PAIRS, families.TOP_LABEL)
]
EVERY = [bind(f"{name}_0.7" if metric.parameter else name) for name, metric in METRICS.items()]
every_metric_of_pairs = pytest.mark.parametrize("bound", OF_PAIRS, ids=lambda b: b.name)
every_metric = pytest.mark.parametrize("bound", EVERY, ids=lambda b: b.name)
nan = float("nan")


def _score(bound: BoundMetric, confidence: Any, correct: Any) -> float:
    labels = [np.zeros(len(confidence))] if bound.metric.family is families.TOP_LABEL else []
    return bound.score(np.array(confidence), np.array(correct), *labels)


@every_metric_of_pairs
@pytest.mark.parametrize(
    ("confidence", "correct", "argument"),
    [
        ([0.5, nan], [0, 1], "confidence"),
        ([0.5, 1.0 + 1e-6], [0, 1], "confidence"),
        ([0.5, -1e-9], [0, 1], "confidence"),
        ([0.5, np.inf], [0, 1], "confidence"),
        ([0.5, 0.5], [0, 1, 1], "confidence"),
        ([[0.5, 0.5]], [[0, 1]], "confidence"),
        ([], [], "confidence"),
        ([0.5, 0.5], [0, 2], "correct"),
        ([0.5, 0.5], [0, 0.5], "correct"),
        ([0.5, 0.5], [0, nan], "correct"),
    ],
)
def test_bad_pairs(bound: BoundMetric, confidence: Any, correct: Any, argument: str) -> None:
    with pytest.raises(InvalidInputError, match=rf"^`{argument}` must be .*, got "):
        _score(bound, confidence, correct)


@every_metric
@pytest.mark.parametrize(
    "weight",
    [[1.0], [1.0, 1.0, 1.0], [1.0, -1.0], [1.0, nan], [0.0, 0.0], [[1.0, 1.0], [0.0, 0.0]], 1.0],
)
def test_bad_weights(bound: BoundMetric, weight: Any) -> None:
    columns = bound.columns(bound.metric.family.example)
    with pytest.raises(InvalidInputError, match=r"^`weight` must be .*, got "):
        bound.score(*columns, weight=np.array(weight))


@every_metric_of_pairs
def test_verdicts_of_any_type_are_alike(bound: BoundMetric) -> None:
    confidence = [0.2, 0.6, 0.9, 0.4]
    values = {
        str(np.dtype(kind)): _score(bound, confidence, np.array([0, 1, 1, 0], dtype=kind))
        for kind in (bool, int, float, np.float32)
    }
    assert len(set(values.values())) == 1, values


def test_the_message_tells_what_came() -> None:
    with pytest.raises(InvalidInputError, match=r"in \[0, 1\], got values from 0.5 to 1.5"):
        checks.pairs(np.array([0.5, 1.5]), np.array([0, 1]))
    with pytest.raises(InvalidInputError, match=r"0 or 1 \(false or true\), got \[-1, 7\]"):
        checks.pairs(np.array([0.5, 0.5]), np.array([7, -1]))


def test_weights_stay() -> None:
    assert checks.weights(None, 3) is None
    assert checks.weights([1, 2], 2).tolist() == [1.0, 2.0]  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize("value", [1, 15, np.int64(3), 100_000])
def test_bin_number(value: int) -> None:
    assert checks.bin_number("num_bins", value) == value


@pytest.mark.parametrize("value", [0, -1, 2.5, 2.0, True, "10", None, nan, 100_001])
def test_no_bin_number(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="`num_bins` must be an integer from 1 to 100,000"):
        checks.bin_number("num_bins", value)


@pytest.mark.parametrize("value", [1e-9, 0.5, 1.0, 1])
def test_fraction(value: float) -> None:
    assert checks.fraction("coverage", value) == value


@pytest.mark.parametrize("value", [0, 0.0, -0.5, 1.5, True, "0.5", None, nan])
def test_no_fraction(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"`coverage` must be a number in \(0, 1\], got"):
        checks.fraction("coverage", value)


def test_predicted_must_be_as_long_as_confidence() -> None:
    with pytest.raises(InvalidInputError, match="`predicted` must be of shape"):
        tl_ece(np.array([0.5, 0.6]), np.array([1, 0]), np.array([0]))


@pytest.mark.parametrize(
    ("probabilities", "gold", "message"),
    [
        ([[0.5, 0.5]], [[1, 0, 0]], "the same shape as `gold`"),
        ([[1.5, 0.5]], [[1, 0]], r"in \[0, 1\]"),
        ([[np.nan]], [[0]], "at least one option"),
        ([0.5], [1], r"\(N, K\)"),
    ],
)
def test_option_probabilities(probabilities: list, gold: list, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        classwise_ece(np.array(probabilities), np.array(gold))


def test_infinite_weights() -> None:
    with pytest.raises(InvalidInputError, match="`weight` must be non-negative and finite"):
        ece(np.array([0.5, 0.6]), np.array([1, 0]), weight=np.array([np.inf, 1.0]))
