"""Out-of-distribution figures against scikit-learn, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.detection import detect, detection_spread

few = settings(derandomize=True, deadline=None, max_examples=80)
scores = st.lists(st.integers(-3, 12).map(float), min_size=1, max_size=40).map(np.array)


def _reference_sklearn(inside: np.ndarray, outside: np.ndarray) -> tuple[float, ...]:
    label = np.r_[np.zeros(len(inside)), np.ones(len(outside))]
    score = np.r_[inside, outside]
    false, true, _ = roc_curve(label, score, drop_intermediate=False)
    return (
        roc_auc_score(label, score),
        average_precision_score(label, score),
        average_precision_score(1 - label, -score),
        false[np.argmax(true >= 0.95)],
    )


@given(scores, scores)
@few
def test_scikit_learns_figures(inside: np.ndarray, outside: np.ndarray) -> None:
    np.testing.assert_allclose(
        detect(inside, outside), _reference_sklearn(inside, outside), atol=1e-12
    )


@given(scores, scores)
@few
def test_laws(inside: np.ndarray, outside: np.ndarray) -> None:
    found = detect(inside, outside)
    np.testing.assert_allclose(detect(outside, inside).auroc, 1 - found.auroc, atol=1e-12)
    np.testing.assert_allclose(detect(-outside, -inside).auroc, found.auroc, atol=1e-12)
    np.testing.assert_allclose(detect(-outside, -inside).aupr, found.aupr_in, atol=1e-12)
    for same in (detect(inside * 3 + 1, outside * 3 + 1), detect(inside[::-1], outside)):
        np.testing.assert_allclose(found, same, atol=1e-12)
    np.testing.assert_allclose(
        found, detect(np.repeat(inside, 2), np.repeat(outside, 2)), atol=1e-12
    )


def test_told_apart_and_not_at_all() -> None:
    apart = detect(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
    assert [float(v) for v in apart] == [1, 1, 1, 0]
    same = detect(np.zeros(30), np.zeros(10))
    assert [float(v) for v in same] == [0.5, 0.25, 0.75, 1.0]


def test_error_bars_are_those_of_a_simulation() -> None:
    rng = np.random.default_rng(0)

    def sample() -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(0, 1, 300), rng.normal(1, 1, 200)

    values = np.array([detect(*sample()) for _ in range(400)])
    first = [sample() for _ in range(20)]
    spreads = [detection_spread(*pair, replicates=200) for pair in first]
    for k, name in enumerate(("auroc", "aupr", "aupr_in", "fpr95")):
        mean = np.mean([spread[k].stderr for spread in spreads])
        assert mean == pytest.approx(values[:, k].std(), rel=0.25), name
        for pair, spread in zip(first, spreads, strict=True):
            value = float(detect(*pair)[k])
            assert 0 <= spread[k].low <= value <= spread[k].high <= 1
    again = detection_spread(*first[0], replicates=200)
    assert again == spreads[0]  # seeded


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="`inside` must be scores of at least one"):
        detect(np.array([]), np.array([1.0]))
    with pytest.raises(InvalidInputError, match="`outside` must be scores without NaN"):
        detect(np.array([1.0]), np.array([np.nan]))
