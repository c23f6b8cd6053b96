"""Confidence histograms of right and wrong answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_calibration import Predictions
from lm_eval_calibration.metrics import evaluate
from lm_eval_calibration.report.histogram import caption, prepare

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40)


def test_by_hand() -> None:
    h = prepare(Predictions.from_confidences([0.1, 0.9, 0.95, 1.0], [0, 1, 0, 1]), num_bins=10)
    assert h.right.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]
    assert h.wrong.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert (h.accuracy, h.confidence) == (0.5, pytest.approx(0.7375))
    assert h.confidence_right == pytest.approx(0.95)
    assert h.confidence_wrong == pytest.approx(0.525)


@calm
@given(PAIRS, st.integers(1, 30))
def test_counts_add_up(pairs: list[tuple[float, bool]], num_bins: int) -> None:
    predictions = Predictions.from_confidences(*zip(*pairs, strict=True))
    h = prepare(predictions, num_bins)
    assert h.right.sum() == predictions.correct.sum()
    assert h.right.sum() + h.wrong.sum() == len(pairs)
    assert len(h.right) == len(h.wrong) == num_bins == len(h.edges) - 1


def test_all_right() -> None:
    predictions = Predictions.from_confidences([0.8, 0.9], [1, 1])
    h = prepare(predictions)
    assert math.isnan(h.confidence_wrong)
    text = caption(h, evaluate(predictions, ["auroc"]))
    assert text == "AUROC undefined. Mean confidence: 0.850 of right answers, no wrong answers."
