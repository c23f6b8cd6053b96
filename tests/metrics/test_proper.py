"""Proper scores against scikit-learn, the harness and model-diagnostics."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from lm_eval.api.metrics import brier_score
from model_diagnostics.scoring import SquaredError, decompose
from release import only_0_4
from sklearn.metrics import brier_score_loss, log_loss

from lm_eval_calibration.metrics import (
    brier_reliability,
    brier_resolution,
    brier_uncertainty,
    brier_values,
    nll_values,
)
from lm_eval_calibration.metrics.proper import brier_moments, mean, nll_moments


def _one_gold(n: int = 300, k: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    probabilities, gold = rng.dirichlet([0.7] * k, n), rng.integers(0, k, n)
    return probabilities, gold, gold[:, None] == np.arange(k)


def _reference_sklearn_nll(probabilities: Any, gold: Any) -> float:
    return float(log_loss(gold, probabilities, labels=range(probabilities.shape[1])))


def _reference_sklearn_brier(probabilities: Any, gold: Any) -> float:
    if "labels" not in inspect.signature(brier_score_loss).parameters:
        pytest.skip("scikit-learn before 1.7 scores two classes only")
    labels = range(probabilities.shape[1])
    return float(brier_score_loss(gold, probabilities, labels=labels, scale_by_half=False))


def _reference_lm_eval_brier(probabilities: Any, gold: Any) -> float:
    return float(brier_score(list(zip(gold.tolist(), probabilities, strict=True))))


def test_nll_equals_sklearn() -> None:
    probabilities, gold, mask = _one_gold()
    expected = _reference_sklearn_nll(probabilities, gold)
    assert mean(nll_values(np.log(probabilities), mask)) == pytest.approx(expected, rel=1e-12)


@only_0_4("0.5 has it by document alone")
def test_brier_equals_sklearn_and_the_harness() -> None:
    probabilities, gold, mask = _one_gold()
    value = mean(brier_values(probabilities, mask))
    assert value == pytest.approx(_reference_sklearn_brier(probabilities, gold), rel=1e-12)
    assert value == pytest.approx(_reference_lm_eval_brier(probabilities, gold), rel=1e-12)


def test_several_gold_options_are_one_event() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2]])
    gold = np.array([[True, True, False]])
    assert nll_values(np.log(probabilities), gold)[0] == pytest.approx(-np.log(0.8))
    assert brier_values(probabilities, gold)[0] == pytest.approx(0.2**2 + 0.2**2)
    everything = np.ones((1, 3), dtype=bool)
    assert nll_values(np.log(probabilities), everything)[0] == pytest.approx(0.0, abs=1e-15)
    assert brier_values(probabilities, everything)[0] == pytest.approx(0.0, abs=1e-15)


def test_no_gold_option_has_no_value() -> None:
    probabilities, gold = np.full((1, 2), 0.5), np.zeros((1, 2), dtype=bool)
    assert np.isnan(nll_values(np.log(probabilities), gold)).all()
    assert np.isnan(brier_values(probabilities, gold)).all()


def test_certain_and_wrong() -> None:
    log_probabilities, gold = np.array([[0.0, -np.inf]]), np.array([[False, True]])
    assert nll_values(log_probabilities, gold).tolist() == [np.inf]
    assert nll_values(log_probabilities, np.array([[True, False]])).tolist() == [0.0]
    assert brier_values(np.array([[1.0, 0.0]]), gold).tolist() == [2.0]


def test_nll_stays_finite_where_the_probability_underflows() -> None:
    log_probabilities, gold = np.array([[0.0, -800.0]]), np.array([[False, True]])
    assert nll_values(log_probabilities, gold).tolist() == [800.0]


@pytest.mark.parametrize("score", ["nll", "brier"])
def test_moments_are_those_of_a_gold_drawn_from_the_probabilities(score: str) -> None:
    """Against the sum over every option that could be the gold one."""
    p = np.array([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.6, 0.4, 0.0]])
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    of, moments, x = (
        (nll_values, nll_moments, log_p) if score == "nll" else (brier_values, brier_moments, p)
    )
    each = np.stack([of(x, np.tile(np.arange(3) == k, (3, 1))) for k in range(3)], axis=1)
    each = np.where(p > 0, each, 0.0)
    expected = (p * each).sum(axis=1)
    variance = (p * each**2).sum(axis=1) - expected**2
    np.testing.assert_allclose(moments(x)[0], expected, atol=1e-12)
    np.testing.assert_allclose(moments(x)[1], variance, atol=1e-12)


def test_nll_moment_is_the_entropy() -> None:
    assert nll_moments(np.log(np.full((1, 4), 0.25)))[0] == pytest.approx(np.log(4))
    assert nll_moments(np.log(np.full((1, 4), 0.25)))[1] == pytest.approx(0.0, abs=1e-12)


def test_mean_leaves_out_documents_without_a_value() -> None:
    nan, inf = np.nan, np.inf
    assert np.isnan(mean(np.array([nan, nan])))
    assert mean(np.array([nan, 2.0, inf])) == inf
    assert mean(np.array([nan, 2.0, inf]), weight=np.array([5.0, 1.0, 0.0])) == 2.0
    assert np.isnan(mean(np.array([nan, 2.0]), weight=np.array([1.0, 0.0])))
    weight = np.array([[1.0, 1.0], [3.0, 1.0]])
    assert mean(np.array([1.0, 3.0]), weight=weight).tolist() == [2.0, 1.5]
    assert np.isnan(mean(np.array([nan, nan]), weight=weight)).tolist() == [True, True]


def _reference_model_diagnostics(confidence: Any, correct: Any, weight: Any) -> tuple[float, ...]:
    parts = decompose(
        y_obs=correct, y_pred=confidence, weights=weight, scoring_function=SquaredError()
    )
    names = ("miscalibration", "discrimination", "uncertainty")
    return tuple(float(parts[name][0]) for name in names)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_corp_parts_equal_model_diagnostics(ties: bool, weighted: bool) -> None:
    rng = np.random.default_rng(4)
    confidence = rng.integers(0, 11, 400) / 10 if ties else rng.random(400)
    correct = (rng.random(400) < confidence**2).astype(float)
    weight = rng.integers(1, 4, 400).astype(float) if weighted else None
    parts = [
        part(confidence, correct, weight=weight)
        for part in (brier_reliability, brier_resolution, brier_uncertainty)
    ]
    expected = _reference_model_diagnostics(confidence, correct, weight)
    assert parts == pytest.approx(expected, abs=1e-10)


def test_uncertainty_is_accuracy_times_its_complement() -> None:
    assert brier_uncertainty(np.array([0.9] * 4), np.array([1, 1, 1, 0])) == pytest.approx(0.1875)
