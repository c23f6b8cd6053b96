"""Conformal sets and promised thresholds: the promise, the edges, and mapie on the same numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.conformal import (
    APS,
    LAC,
    SCORES,
    figures,
    nonconformity,
    sets,
    threshold,
)
from lm_eval_calibration.metrics.thresholds import guarantee, reach
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing.calibrators import any_documents, overconfident

every_score = pytest.mark.parametrize("score", SCORES)


@every_score
def test_the_promise_is_kept(score: str) -> None:
    """Over draws of both halves coverage is at least as wanted, and not much more (of sure models, too)."""
    held = [
        figures(test, sets(test, threshold(fitted, 0.9, score), score)).coverage
        for fitted, test in (
            (overconfident(100, seed=2 * k), overconfident(200, seed=2 * k + 1)) for k in range(60)
        )
    ]
    assert 0.89 < np.mean(held) < 0.93


@every_score
@given(seed=st.integers(0, 400), wanted=st.floats(0.05, 0.95))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_on_the_documents_themselves(score: str, seed: int, wanted: float) -> None:
    p = any_documents(np.random.default_rng(seed))
    at = threshold(p, wanted, score)
    found = sets(p, at, score)
    assert found.covered.mean() >= wanted - 1e-9 or at == math.inf
    inner = sets(p, at - 0.1, score)
    assert (inner.inside <= found.inside).all() and found.size.sum() == found.inside.sum()


def test_mapie_s_sets() -> None:
    classification = pytest.importorskip("mapie.classification")
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):
        """Its features are the probabilities."""

        def fit(self, x: Any, y: Any) -> Given:
            self.classes_, self.fitted_ = np.arange(x.shape[1]), True
            return self

        def predict_proba(self, x: Any) -> Any:
            return x

        def predict(self, x: Any) -> Any:
            return x.argmax(axis=1)

    fitted, test = overconfident(300), overconfident(200, seed=1)
    x, y = fitted.probabilities, fitted.gold
    assert x is not None and y is not None and test.probabilities is not None
    theirs = classification.SplitConformalClassifier(
        Given().fit(x, None), confidence_level=0.9, conformity_score=LAC, prefit=True
    )
    theirs.conformalize(x, y.argmax(axis=1))
    _, expected = theirs.predict_set(test.probabilities)
    inside = sets(test, threshold(fitted, 0.9)).inside.reshape(200, 4)
    assert np.array_equal(inside, expected[:, :, 0])


def test_aps_adds_up_from_the_top() -> None:
    p = Predictions.from_options(np.log([[0.5, 0.3, 0.2], [0.4, 0.4, 0.2]]), [0, 1])
    assert nonconformity(p, APS) == pytest.approx([0.5, 0.8, 1.0, 0.8, 0.8, 1.0])


def test_too_few_documents_leave_every_option() -> None:
    p = overconfident(8)
    assert threshold(p, 0.9) == math.inf and threshold(overconfident(9), 0.9) < math.inf
    found = figures(p, sets(p, math.inf))
    assert (found.coverage, found.size, found.single) == (1.0, 4.0, 0.0)


def test_several_right_options_and_none() -> None:
    p = Predictions.from_options(
        [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0], [1.0, 0.0, 0.0]], [[0, 1], [0], []]
    )
    at = threshold(p, 0.5)
    found = sets(p, at)
    assert figures(p, found).documents == 2 and not found.covered[2]
    with pytest.raises(InvalidInputError, match="with a right option"):
        threshold(Predictions.from_options([[0.0, 1.0]], [[]]), 0.5)


def test_what_cannot_be() -> None:
    p = overconfident(20)
    with pytest.raises(InvalidInputError, match="`coverage` must be above 0 and below 1"):
        threshold(p, 1.0)
    with pytest.raises(InvalidInputError, match="`score` must be lac or aps"):
        threshold(p, 0.9, "raps")
    with pytest.raises(InvalidInputError, match="lm-calib thresholds --risk"):
        threshold(Predictions.from_confidences([0.5], [1]), 0.9)
    with pytest.raises(InvalidInputError, match="`risk` must be between 0 and 1"):
        guarantee([0.5], [1], 0.0)


def test_a_promised_threshold_fails_rarely_and_the_plain_one_often() -> None:
    rng = np.random.default_rng(0)
    broken = [0, 0]
    for _ in range(300):
        c = rng.uniform(0.3, 1, 300)
        right = rng.uniform(size=300) < c
        for i, at in enumerate((guarantee(c, right, 0.1), reach(c, right, 0.9))):
            broken[i] += at is not None and 1 - (1 + at) / 2 > 0.1 + 1e-9
    assert broken[0] <= 0.05 * 300 < 0.3 * 300 < broken[1]


@given(seed=st.integers(0, 300), risk=st.floats(0.02, 0.5))
@settings(derandomize=True, deadline=None, max_examples=60)
def test_a_promised_threshold_is_no_lower_than_the_plain_one(seed: int, risk: float) -> None:
    rng = np.random.default_rng(seed)
    c = np.round(rng.uniform(0, 1, 200), 2)
    right = rng.uniform(size=200) < c
    at = guarantee(c, right, risk)
    if at is not None:
        plain = reach(c, right, 1 - risk)
        assert plain is not None and at >= plain
        assert (~right[c >= at]).mean() <= risk
