"""The numbers of the reliability diagram, and its smooth curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_calibration import Predictions
from lm_eval_calibration.metrics import ece, evaluate
from lm_eval_calibration.report.reliability import caption, prepare
from lm_eval_calibration.report.smoothing import smooth_accuracy

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAIRS = st.lists(
    st.tuples(st.floats(0, 1, allow_subnormal=False), st.booleans()), min_size=1, max_size=40
)


@calm
@given(PAIRS, st.integers(1, 20))
def test_numbers_are_those_of_ece(pairs: list[tuple[float, bool]], num_bins: int) -> None:
    predictions = Predictions.from_confidences(*zip(*pairs, strict=True))
    r = prepare(predictions, num_bins)
    assert r.count.sum() == len(pairs)
    weighted = (r.count * abs(r.accuracy - r.confidence)).sum() / len(pairs)
    expected = ece(predictions.confidence, predictions.correct, num_bins=num_bins)
    assert weighted == pytest.approx(expected, abs=1e-12)
    assert ((r.low <= r.confidence + 1 / r.count) & (r.high >= r.confidence - 1 / r.count)).all()
    assert ((r.low <= r.high) & (r.low >= 0) & (r.high <= 1)).all()


def test_empty_bins_are_left_out() -> None:
    r = prepare(Predictions.from_confidences([0.0, 0.55, 1.0], [0, 1, 1]), num_bins=10)
    assert r.index.tolist() == [0, 5, 9]
    assert r.count.tolist() == [1, 1, 1]


def test_band_by_hand() -> None:
    """100 documents at 0.5: a Binomial(100, 0.5) lies in 40..60 in 95 of 100 draws."""
    r = prepare(Predictions.from_confidences([0.5] * 100, [1] * 100))
    assert (r.low[0], r.high[0]) == (0.40, 0.60)


def test_caption_has_the_interval_the_band_and_the_bins_outside() -> None:
    predictions = Predictions.from_confidences([0.5] * 100, [1] * 100)
    text = caption(prepare(predictions), evaluate(predictions, ["ece"]))
    assert text.startswith("ECE 0.500 [0.49")
    assert "1 of 1 bins end outside the grey band." in text
    assert caption(prepare(predictions), {}).startswith("1 of 1 bins")


def test_smooth_curve_finds_the_truth() -> None:
    """100,000 documents that are right with probability confidence squared."""
    rng = np.random.default_rng(0)
    c = rng.random(100_000)
    smooth = smooth_accuracy(c, (rng.random(len(c)) < c**2).astype(float))
    inner = (smooth.x > 0.1) & (smooth.x < 0.9)
    assert np.abs(smooth.accuracy - smooth.x**2)[inner].max() < 0.03


@calm
@given(PAIRS)
def test_smooth_curve_stays_a_share(pairs: list[tuple[float, bool]]) -> None:
    c, y = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    smooth = smooth_accuracy(c, y)
    known = smooth.accuracy[~np.isnan(smooth.accuracy)]
    assert ((known >= 0) & (known <= 1 + 1e-12)).all()
    if y.all():
        assert known == pytest.approx(np.ones(len(known)))
    assert 0.03 <= smooth.bandwidth <= 0.1
    parts = list(smooth.pieces())
    assert all(len(x) > 1 and not np.isnan(a).any() for x, a in parts)


def test_smooth_curve_breaks_where_there_are_no_documents() -> None:
    c = np.repeat([0.1, 0.9], 50)
    smooth = smooth_accuracy(c, np.repeat([0.0, 1.0], 50))
    assert len(list(smooth.pieces())) == 2
    assert np.isnan(smooth.accuracy[100])
    few = smooth_accuracy(np.array([0.5]), np.array([1.0]))
    assert list(few.pieces()) == []
