"""Binned errors against three other libraries, and by hand where those are wrong or absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import calibration
import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error

from lm_eval_calibration.metrics import (
    ace,
    classwise_ece,
    debiased_ece,
    ece,
    mce,
    rmsce,
    tl_ece,
)

Pairs = tuple[np.ndarray, np.ndarray]


def _continuous(n: int = 600, seed: int = 0) -> Pairs:
    rng = np.random.default_rng(seed)
    confidence = rng.beta(3, 1.5, n)
    return confidence, rng.random(n) < confidence**1.5


def _with_ends(n: int = 600) -> Pairs:
    confidence, correct = _continuous(n)
    confidence[: n // 6], confidence[n // 6 : n // 4] = 1.0, 0.0
    return confidence, correct


def _grid(steps: int, n: int = 600) -> Pairs:
    rng = np.random.default_rng(steps)
    confidence = rng.integers(0, steps + 1, n) / steps
    return confidence, rng.random(n) < 0.8 * confidence


def _reference_unccal(confidence: Any, correct: Any, num_bins: int, **how: Any) -> float:
    how = {"p": 1, "debias": False, "binning_scheme": calibration.get_equal_prob_bins, **how}
    return calibration.lower_bound_scaling_ce(
        confidence, correct.astype(int), num_bins=num_bins, mode="top-label", **how
    )


def _reference_torchmetrics(confidence: Any, correct: Any, num_bins: int, norm: str) -> float:
    preds, target = torch.tensor(confidence), torch.tensor(correct, dtype=torch.int64)
    return float(binary_calibration_error(preds, target, n_bins=num_bins, norm=norm))


EQUAL_WIDTH: dict[str, tuple[Callable[..., float], dict[str, Any], str | None]] = {
    "ece": (ece, {"p": 1}, "l1"),
    "rmsce": (rmsce, {"p": 2}, "l2"),
    "debiased_ece": (debiased_ece, {"p": 2, "debias": True}, None),
    "mce": (mce, {}, "max"),
}


@pytest.mark.parametrize("num_bins", [1, 2, 10, 15, 100])
@pytest.mark.parametrize("name", ["ece", "rmsce", "debiased_ece"])
@pytest.mark.parametrize(
    "pairs",
    [_continuous(), _with_ends(), _grid(10), _grid(20), _grid(15)],
    ids=["continuous", "with 0 and 1", "k/10", "k/20", "k/15"],
)
def test_equals_uncertainty_calibration(name: str, pairs: Pairs, num_bins: int) -> None:
    score, how, _ = EQUAL_WIDTH[name]
    expected = _reference_unccal(*pairs, num_bins, **how)
    assert score(*pairs, num_bins=num_bins) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("num_bins", [1, 2, 10, 15, 100])
@pytest.mark.parametrize("name", ["ece", "rmsce", "mce"])
def test_equals_torchmetrics_below_one(name: str, num_bins: int) -> None:
    score, _, norm = EQUAL_WIDTH[name]
    pairs = _continuous(seed=3)
    expected = _reference_torchmetrics(*pairs, num_bins, norm or "")
    assert score(*pairs, num_bins=num_bins) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n", [1, 32_767, 32_768, 32_769, 100_001])
def test_ece_of_many_documents_is_summed_in_blocks(n: int) -> None:
    confidence, correct = _continuous(n)
    expected = ece(confidence, correct, weight=np.ones(n))
    assert ece(confidence, correct) == pytest.approx(expected, abs=1e-12)


def test_confidence_one_shares_the_top_bin() -> None:
    # Top bin: residuals 1 - 0, 1 - 1, .95 - 1, .95 - 1 sum to .9; .9 / 4 = .225.
    # torchmetrics puts the two ones in a bin of their own: (|1| + |-.1|) / 4 = .275.
    confidence, correct = np.array([1.0, 1.0, 0.95, 0.95]), np.array([0, 1, 1, 1])
    assert ece(confidence, correct) == pytest.approx(0.225)
    assert _reference_torchmetrics(confidence, correct, 15, "l1") == pytest.approx(0.275)


def test_always_wrong_is_not_hidden() -> None:
    for score in (ece, mce, rmsce, debiased_ece, ace):
        assert score(np.ones(5), np.zeros(5)) == pytest.approx(1.0)
        assert score(np.zeros(5), np.ones(5)) == pytest.approx(1.0)


def test_mce_by_hand() -> None:
    # Bins of a fifth: (.4, .6] has the gap .6 - 1/2 = .1; (.8, 1] has .9 - 2/3 = .2333.
    confidence, correct = np.array([0.6, 0.6, 0.9, 0.9, 0.9]), np.array([1, 0, 1, 1, 0])
    assert mce(confidence, correct, num_bins=5) == pytest.approx(0.9 - 2 / 3)
    # A document of weight 0 leaves its bin empty.
    confidence, correct = np.append(confidence, 0.1), np.append(correct, 1)
    weight = np.array([1, 1, 1, 1, 1, 0])
    assert mce(confidence, correct, num_bins=5, weight=weight) == pytest.approx(0.9 - 2 / 3)


def test_debiased_ece_by_hand() -> None:
    # One bin of three: gap .9 - 2/3 = .2333, noise (2/3)(1/3)/2 = .1111 > .2333^2 = .0544: floor.
    assert debiased_ece(np.full(3, 0.9), np.array([1, 1, 0])) == 0.0
    # Gap .9 - 1/3 = .5667, square .3211, less .1111 = .21.
    assert debiased_ece(np.full(3, 0.9), np.array([1, 0, 0])) == pytest.approx(0.21**0.5)
    # A bin of one document counts 0 but stays in N: 3/4 of .21.
    confidence, correct = np.array([0.9, 0.9, 0.9, 0.1]), np.array([1, 0, 0, 1])
    assert debiased_ece(confidence, correct) == pytest.approx((0.75 * 0.21) ** 0.5)


@pytest.mark.parametrize("num_bins", [1, 2, 10, 15, 100])
@pytest.mark.parametrize(
    "pairs",
    [_continuous(), _with_ends(), _grid(10), _grid(20), _grid(3)],
    ids=["continuous", "with 0 and 1", "k/10", "k/20", "k/3"],
)
def test_ace_equals_uncertainty_calibration(pairs: Pairs, num_bins: int) -> None:
    """600 documents: where `num_bins` divides N both rules name the same bins."""
    expected = _reference_unccal(*pairs, num_bins, binning_scheme=calibration.get_equal_bins)
    assert ace(*pairs, num_bins=num_bins) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [10, 601, 613])
def test_ace_on_a_ragged_last_bin(n: int) -> None:
    """The rank r is in bin floor(r num_bins / N), whatever N: here beside the plain loop."""
    confidence, correct = _continuous(n)
    order = np.argsort(confidence)
    bins = np.arange(n) * 7 // n
    residual = (confidence - correct)[order]
    expected = sum(abs(residual[bins == b].sum()) for b in range(7)) / n
    assert ace(confidence, correct, num_bins=7) == pytest.approx(expected, abs=1e-12)


def test_ace_of_equal_confidences_is_one_bin() -> None:
    # netcal raises here. All in one bin: |.5 - 3/4| = .25, not (|-.5| 3/4 + |.5| 1/4) = .5.
    assert ace(np.full(4, 0.5), np.array([1, 1, 1, 0])) == pytest.approx(0.25)


def _reference_loop_tl_ece(c: Any, y: Any, predicted: Any, num_bins: int) -> float:
    kept = [predicted == k for k in np.unique(predicted)]
    return sum(k.mean() * ece(c[k], y[k], num_bins=num_bins) for k in kept)


def test_tl_ece_is_the_mean_of_ece_within_the_predicted_class() -> None:
    c, y = _with_ends()
    predicted = np.random.default_rng(5).integers(0, 4, len(c)) * 3
    expected = _reference_loop_tl_ece(c, y, predicted, 10)
    assert tl_ece(c, y, predicted, num_bins=10) == pytest.approx(expected, abs=1e-12)


def test_tl_ece_sees_a_letter_bias_that_ece_does_not() -> None:
    # Said with .5: "A" is always right, "B" never. Together .5; apart .5 off each.
    c, y, predicted = np.full(4, 0.5), np.array([1, 1, 0, 0]), np.array([0, 0, 1, 1])
    assert ece(c, y) == 0.0
    assert tl_ece(c, y, predicted) == pytest.approx(0.5)


def _reference_unccal_classwise(probabilities: Any, gold: Any, num_bins: int) -> float:
    return calibration.get_ece(probabilities, gold, num_bins=num_bins, mode="marginal")


@pytest.mark.parametrize("num_bins", [1, 10, 15])
def test_classwise_ece_equals_uncertainty_calibration(num_bins: int) -> None:
    rng = np.random.default_rng(2)
    probabilities, gold = rng.dirichlet([0.5] * 4, 500), rng.integers(0, 4, 500)
    expected = _reference_unccal_classwise(probabilities, gold, num_bins)
    value = classwise_ece(probabilities, gold[:, None] == np.arange(4), num_bins=num_bins)
    assert value == pytest.approx(expected, abs=1e-12)


def test_classwise_ece_of_ragged_options_by_hand() -> None:
    # Option 0: .5 and .9 (bins apart), right and right: (.5 + .1) / 2 = .3.
    # Option 1: .5 and .1, both wrong: (.5 + .1) / 2 = .3.  Option 2: no document has it.
    nan = np.nan
    probabilities = np.array([[0.5, 0.5, nan], [0.9, 0.1, nan]])
    gold = np.array([[1, 0, 0], [1, 0, 0]])
    assert classwise_ece(probabilities, gold) == pytest.approx(0.3)
    # With p = 1 on option 2 of a third document, which has the others at 0: option 0 and 1 are
    # (.5 + .1 + 0) / 3 = .2, option 2 is |1 - 1| = 0; their mean is .4 / 3.
    probabilities = np.vstack([probabilities, [0.0, 0.0, 1.0]])
    gold = np.vstack([gold, [0, 0, 1]])
    assert classwise_ece(probabilities, gold) == pytest.approx(0.4 / 3)


def test_classwise_ece_of_a_replicate_without_an_option() -> None:
    """A replicate that misses the only document with a third option drops it for itself alone."""
    probabilities = np.array([[0.7, 0.3, np.nan], [0.2, 0.3, 0.5]])
    gold = np.array([[1, 0, 0], [0, 1, 0]])
    weight = np.array([[1.0, 1.0], [2.0, 0.0]])
    separate = [classwise_ece(probabilities, gold, weight=w) for w in weight]
    assert classwise_ece(probabilities, gold, weight=weight).tolist() == pytest.approx(separate)
