"""AUROC and selective prediction against scikit-learn and brute force over all orders of ties."""

from __future__ import annotations

import itertools
from typing import Any

import calibration
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from lm_eval_calibration.metrics import acc_at_coverage, aurc, auroc, coverage_at_acc, eaurc, prr


def _tied(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Few levels, hence many ties; both verdicts occur."""
    rng = np.random.default_rng(seed)
    correct = rng.random(n) < 0.6
    correct[:2] = [True, False]
    return rng.integers(0, 4, n) / 3, correct


def _reference_sklearn_auroc(confidence: Any, correct: Any, weight: Any = None) -> float:
    return float(roc_auc_score(correct, confidence, sample_weight=weight))


def _reference_pairwise_auroc(confidence: Any, correct: Any) -> float:
    gap = confidence[correct][:, None] - confidence[~correct]
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def _orders(confidence: Any, correct: Any) -> list[np.ndarray]:
    """The verdicts in every order that is descending in confidence."""
    orders = itertools.permutations(range(len(confidence)))
    return [correct[list(o)] for o in orders if (np.diff(confidence[list(o)]) <= 0).all()]


def _reference_brute_aurc(confidence: Any, correct: Any) -> float:
    k = np.arange(1, len(correct) + 1)
    return float(np.mean([np.mean(np.cumsum(~y) / k) for y in _orders(confidence, correct)]))


def _reference_brute_accuracy(confidence: Any, correct: Any, coverage: float) -> float:
    """Whole documents first, then the missing fraction of the next one."""
    kept = coverage * len(correct)
    share = np.clip(kept - np.arange(len(correct)), 0.0, 1.0)
    return float(np.mean([share @ y / kept for y in _orders(confidence, correct)]))


def _reference_brute_coverage(confidence: Any, correct: Any, acc: float) -> float:
    accepted = [confidence >= threshold for threshold in confidence]
    return max([a.mean() for a in accepted if correct[a].mean() >= acc - 1e-12], default=0.0)


@pytest.mark.parametrize("seed", range(5))
def test_auroc_equals_sklearn_and_counting_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence, correct = _tied(200, seed)
    confidence[:100] = rng.random(100)
    value = auroc(confidence, correct)
    assert value == pytest.approx(_reference_sklearn_auroc(confidence, correct), abs=1e-12)
    assert value == pytest.approx(_reference_pairwise_auroc(confidence, correct), abs=1e-12)
    weight = rng.random(200)
    expected = _reference_sklearn_auroc(confidence, correct, weight)
    assert auroc(confidence, correct, weight=weight) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("verdict", [0, 1])
def test_auroc_of_one_verdict_is_undefined(verdict: int) -> None:
    confidence, correct = np.array([0.2, 0.9]), np.full(2, verdict)
    assert np.isnan(auroc(confidence, correct))
    weight = np.array([[1.0, 1.0], [0.0, 1.0]])
    assert np.isnan(auroc(confidence, correct, weight=weight)).all()
    assert np.isnan(auroc(confidence, np.array([0, 1]), weight=weight)).tolist() == [False, True]


@pytest.mark.parametrize("seed", range(6))
def test_selective_metrics_average_over_the_orders_of_ties(seed: int) -> None:
    confidence, correct = _tied(6, seed)
    assert aurc(confidence, correct) == pytest.approx(_reference_brute_aurc(confidence, correct))
    perfect = _reference_brute_aurc(correct.astype(float), correct)
    excess = _reference_brute_aurc(confidence, correct) - perfect
    assert eaurc(confidence, correct) == pytest.approx(excess, abs=1e-12)
    for coverage in (0.1, 1 / 3, 0.5, 0.77, 1.0):
        expected = _reference_brute_accuracy(confidence, correct, coverage)
        assert acc_at_coverage(confidence, correct, coverage=coverage) == pytest.approx(expected)
    for acc in (0.2, 0.5, 0.6, 0.75, 1.0):
        expected = _reference_brute_coverage(confidence, correct, acc)
        assert coverage_at_acc(confidence, correct, acc=acc) == pytest.approx(expected)


def _reference_unccal_aurc(confidence: Any, correct: Any) -> float:
    """uncertainty-calibration (and HELM) report the area under the coverage-accuracy curve."""
    return float(1.0 - calibration.get_selective_stats(confidence, correct)[0])


def test_aurc_equals_uncertainty_calibration_without_ties() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(500)
    correct = rng.random(500) < confidence
    expected = _reference_unccal_aurc(confidence, correct)
    assert aurc(confidence, correct) == pytest.approx(expected, abs=1e-12)


def _reference_polygraph_area(estimate: Any, target: Any, max_rejection: float) -> float:
    """lm-polygraph's area under the rejection curve: the mean quality of what is kept."""
    count = int(max_rejection * len(estimate))
    sums = np.cumsum(target[np.argsort(-estimate)])[-count:]
    return float(np.mean(sums / np.arange(len(estimate) - count + 1, len(estimate) + 1)))


@pytest.mark.parametrize("max_rejection", [1.0, 0.5, 0.37])
def test_prr_equals_lm_polygraph_without_ties(max_rejection: float) -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(41)
    correct = (rng.random(41) < confidence).astype(float)
    ours, best = (
        _reference_polygraph_area(c, correct, max_rejection) for c in (confidence, correct)
    )
    expected = (ours - correct.mean()) / (best - correct.mean())
    assert prr(confidence, correct, max_rejection=max_rejection) == pytest.approx(expected)


def test_prr_of_perfect_random_and_undefined_rankings() -> None:
    correct = np.array([1, 1, 0, 1, 0, 0])
    assert prr(correct * 1.0, correct) == 1.0
    assert prr(np.ones(6), correct) == pytest.approx(0.0)
    assert prr(np.arange(6, 0, -1) / 6, correct) > 0 > prr(np.arange(6) / 6, correct)
    assert np.isnan(prr(np.arange(6) / 6, np.ones(6)))


def test_a_perfect_ranking_has_no_excess() -> None:
    confidence, correct = np.array([0.9, 0.8, 0.3, 0.2, 0.1]), np.array([1, 1, 1, 0, 0])
    assert eaurc(confidence, correct) == 0.0
    assert aurc(confidence, correct) == pytest.approx((1 / 4 + 2 / 5) / 5)
    assert acc_at_coverage(confidence, correct, coverage=0.6) == 1.0
    assert coverage_at_acc(confidence, correct, acc=1.0) == 0.6


def test_full_coverage_is_accuracy() -> None:
    confidence, correct = _tied(50, 1)
    assert acc_at_coverage(confidence, correct, coverage=1.0) == pytest.approx(correct.mean())
    assert coverage_at_acc(confidence, correct, acc=correct.mean()) == 1.0


def test_coverage_is_zero_where_no_threshold_is_good_enough() -> None:
    assert coverage_at_acc(np.array([0.9, 0.5]), np.array([0, 1]), acc=0.9) == 0.0


def test_equal_confidences_are_accepted_together_or_in_part() -> None:
    """A threshold cannot part them; a share of the documents can, and takes what is expected of them."""
    c, y = np.array([0.9] * 2 + [0.5] * 10), np.array([1] * 7 + [0] * 5)
    assert coverage_at_acc(c, y, acc=0.8) == pytest.approx(2 / 12)
    assert acc_at_coverage(c, y, coverage=0.25) == pytest.approx((2 + 0.5) / 3)
