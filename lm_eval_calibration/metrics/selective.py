"""Does confidence rank right answers above wrong ones? AUROC and selective prediction.

Arguments and errors as in `binned`. Tied confidences are exchangeable: every value is the
expectation over the order of ties, so row order never matters.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import Array, group_sums, number, tie_groups

_ROWS = 128
"""Replicates at a time: so many fit a processor's cache."""


def auroc(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Probability that a right answer is more confident than a wrong one; ties count half.

    NaN if all answers are right or all wrong. Larger is better. Equal to scikit-learn's
    `roc_auc_score(correct, confidence)`.

    >>> auroc(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]))
    0.5
    """
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    right, wrong = np.flatnonzero(y), np.flatnonzero(np.logical_not(y))
    wrong = wrong[np.argsort(-c[wrong])]
    ahead = [np.searchsorted(-c[wrong], -c[right], side) for side in ("left", "right")]
    with np.errstate(invalid="ignore", divide="ignore"):
        if w is None:
            pairs = np.float64(len(right) * len(wrong))
            return float((pairs - 0.5 * (ahead[0].sum() + ahead[1].sum())) / pairs)
        rows = np.atleast_2d(w)
        blocks = [rows[i : i + _ROWS] for i in range(0, len(rows), _ROWS)]
        found = np.concatenate([_won_share(block, right, wrong, *ahead) for block in blocks])
    return number(found[0] if w.ndim == 1 else found)


def _won_share(w: Array, right: Array, wrong: Array, before: Array, upto: Array) -> Array:
    """AUROC under weights (B, N), given which documents are right, and which wrong, descending.

    `before` and `upto` say of each right one how many wrong ones lie above it, without and with ties.
    """
    mass = np.zeros((len(w), len(wrong) + 1))
    np.cumsum(w[:, wrong], axis=1, out=mass[:, 1:])
    lost = mass[:, before]
    if (before != upto).any():
        lost = 0.5 * (lost + mass[:, upto])
    won = w[:, right]
    pairs = won.sum(axis=1) * mass[:, -1]
    return np.asarray((pairs - np.einsum("bn,bn->b", won, lost)) / pairs)


def aurc(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Area under the risk-coverage curve: the mean over k of the error rate of the k most confident.

    Smaller is better. Source: Geifman and El-Yaniv, NeurIPS 2017; Geifman et al., ICLR 2019.
    Weights count documents.

    >>> aurc(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]))  # (0/1 + 1/2 + 1/3) / 3
    0.2777...
    """
    mass, right = _descending_groups(confidence, correct, weight)
    return number(_risk_area(mass, mass - right))


def eaurc(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Excess AURC: `aurc` less that of a perfect ranking at the same accuracy; smaller is better.

    Source: Geifman et al., ICLR 2019, eq. 5 (here the exact optimum, not its approximation).
    """
    mass, right = _descending_groups(confidence, correct, weight)
    wrong = mass - right
    total, errors = mass.sum(axis=-1), wrong.sum(axis=-1)
    best = _risk_area(*_perfect(total, errors))
    return number(np.maximum(_risk_area(mass, wrong) - best, 0.0))


def prr(
    confidence: Array, correct: Array, *, max_rejection: float = 1.0, weight: Array | None = None
) -> Any:
    """Prediction rejection ratio: what ranking gains over no ranking, as a share of a perfect ranking's gain.

    1 is a perfect ranking, 0 a random one; below 0 is worse than that. NaN if all answers are right or
    all wrong. Larger is better. The areas are those under the accuracy of what is kept, while up to
    `max_rejection` of the documents, the least confident first, are left out. Source: Malinin and Gales,
    2021; as in lm-polygraph, over the accuracy of what is kept (where rejected errors are instead
    taken for corrected, the ratio is `2 auroc - 1`).

    >>> prr(np.array([0.9, 0.8, 0.7]), np.array([1, 1, 0]))
    1.0
    >>> prr(np.array([0.7, 0.8, 0.9]), np.array([1, 1, 0]))
    -1.25...
    """
    share = checks.fraction("max_rejection", max_rejection)
    mass, right = _descending_groups(confidence, correct, weight)
    wrong = mass - right
    total, errors = mass.sum(axis=-1), wrong.sum(axis=-1)
    left_out = share * total
    whole = total == np.rint(total)  # (documents, and no fractions of them)
    first = total - np.where(whole, np.floor(left_out + 1e-9), left_out)
    with np.errstate(invalid="ignore", divide="ignore"):
        best = errors / total - _risk_area(*_perfect(total, errors), first)
        gain = errors / total - _risk_area(mass, wrong, first)
        return number(np.where(best > 0, gain / best, np.nan))


def acc_at_coverage(
    confidence: Array, correct: Array, *, coverage: float, weight: Array | None = None
) -> Any:
    """Accuracy on the `coverage` most confident fraction of the documents; larger is better.

    Where `coverage` times N is no whole number, the last document counts in part.

    >>> acc_at_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 0]), coverage=0.75)
    0.666...
    """
    mass, right = _descending_groups(confidence, correct, weight)
    kept = checks.fraction("coverage", coverage) * mass.sum(axis=-1, keepdims=True)
    taken = np.clip(kept - (np.cumsum(mass, axis=-1) - mass), 0.0, mass)
    share = np.divide(right, mass, out=np.zeros_like(mass), where=mass > 0)
    return number((taken * share).sum(axis=-1) / kept[..., 0])


def coverage_at_acc(
    confidence: Array, correct: Array, *, acc: float, weight: Array | None = None
) -> Any:
    """Largest fraction of documents, most confident first, answered with at least accuracy `acc`.

    0 if no confidence threshold reaches it. Documents of equal confidence are accepted together.

    >>> coverage_at_acc(np.array([0.9, 0.8, 0.7, 0.6]), np.array([1, 1, 0, 1]), acc=0.9)
    0.5
    """
    wanted = checks.fraction("acc", acc)
    mass, right = _descending_groups(confidence, correct, weight)
    covered = np.cumsum(mass, axis=-1)
    enough = np.cumsum(right, axis=-1) >= wanted * covered - 1e-9
    return number(np.where(enough, covered, 0.0).max(axis=-1) / covered[..., -1])


def _descending_groups(
    confidence: Array, correct: Array, weight: Array | None
) -> tuple[Array, Array]:
    """Mass and right mass (..., G) of the groups of equal confidence, most confident first."""
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    order = np.argsort(-c)
    starts, _ = tie_groups(c[order])
    ordered = np.ones(len(c)) if w is None else w[..., order]
    return group_sums(ordered, starts), group_sums(ordered * y[order], starts)


def _perfect(total: Array, errors: Array) -> tuple[Array, Array]:
    """Mass and wrong mass of the two groups of a perfect ranking: all right answers, then all wrong ones."""
    zero = np.zeros_like(errors)
    return np.stack([total - errors, errors], axis=-1), np.stack([zero, errors], axis=-1)


def _risk_area(mass: Array, wrong: Array, first: Any = 0.0) -> Array:
    """Mean over k = first + 1..N of E[errors among the k most confident] / k, from groups (..., G).

    Inside a group with error rate r that follows n documents with e errors, the k-th error rate
    is (e + r (k - n)) / k = r + (e - r n) / k, and the sum of 1/k is a difference of digammas.
    """
    from scipy.special import digamma

    end = np.cumsum(mass, axis=-1)
    start, least = end - mass, np.asarray(first)[..., None]
    ends = np.concatenate([np.zeros_like(end[..., :1]), end], axis=-1)
    counted = np.diff(np.maximum(ends, least), axis=-1)  # (of a group, those beyond `first`)
    harmonic = digamma(np.maximum(ends, least) + 1.0)
    rate = np.divide(wrong, mass, out=np.zeros_like(mass), where=mass > 0)
    errors_before = np.cumsum(wrong, axis=-1) - wrong
    area = rate * counted + (errors_before - rate * start) * np.diff(harmonic, axis=-1)
    return area.sum(axis=-1) / counted.sum(axis=-1)
