"""Thresholds that reach a precision: against scikit-learn's curve, and on new documents."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.thresholds import accept, reach

few = settings(derandomize=True, deadline=None, max_examples=150)
pairs = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=25)


@given(pairs, st.sampled_from([0.25, 0.5, 0.75, 0.9, 1.0]))
@few
def test_the_best_recall_of_the_curve(rows: list[tuple[int, bool]], wanted: float) -> None:
    scores, positive = np.array([s / 8 for s, _ in rows]), np.array([y for _, y in rows])
    found = reach(scores, positive, wanted)
    if not positive.any():
        assert found is None
        return
    precision, recall, thresholds = precision_recall_curve(positive, scores)
    good = precision[:-1] >= wanted - 1e-12
    if not good.any():
        assert found is None
        return
    assert found == thresholds[good].min()
    got = accept(scores, positive, found)
    assert got.precision >= wanted - 1e-12
    assert got.recall == pytest.approx(recall[:-1][good].max())
    assert got.low <= got.precision <= got.high


def test_new_documents_of_a_calibrated_model_keep_the_precision() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0, 1, (2, 20_000))
    y = rng.uniform(0, 1, p.shape) < p
    threshold = reach(p[0], y[0], 0.9)
    assert threshold is not None and threshold == pytest.approx(0.8, abs=0.03)
    assert accept(p[1], y[1], threshold).precision == pytest.approx(0.9, abs=0.01)


def test_intervals() -> None:
    found = accept([0.9] * 20 + [0.1], [0] * 20 + [1], 0.5)
    assert (found.low, found.high) == pytest.approx((0.0, 0.1611), abs=1e-4)
    nothing = accept([0.1], [0], 0.5)
    assert math.isnan(nothing.precision) and math.isnan(nothing.low) and math.isnan(nothing.recall)


def test_what_is_refused() -> None:
    for arguments, match in (
        (([0.5], [1], 0.0), "`precision` must be above 0"),
        (([0.5], [1, 0], 0.5), "as long as `scores`"),
        (([math.nan], [1], 0.5), "without NaN"),
        (([], [], 0.5), "not empty"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            reach(*arguments)
