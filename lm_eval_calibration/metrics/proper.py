"""Proper scores of whole option distributions, and the CORP decomposition of Brier's score.

The scores are means over documents, so their unit is one value per document: `nll_values` and
`brier_values` compute it, `mean` averages it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.logits import row_sums
from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import Array, group_sums, number, tie_groups, total_weight
from lm_eval_calibration.metrics.grouping import GroupWeights


def nll_values(log_probabilities: Array, gold: Array) -> Array:
    """(N,) negative log of the probability of the gold options, in nats.

    Args:
        log_probabilities: (N, K) log-softmax over the options.
        gold: (N, K) booleans. Several gold options count as one event: their mass is added.

    Returns:
        +inf where the gold options have probability 0; NaN where a document has no gold option
        (its answer key points outside the options), which `mean` leaves out.
    """
    mass = row_sums(np.where(gold, np.exp(log_probabilities), 0.0))
    single = np.where(gold, log_probabilities, -np.inf).max(axis=1)
    several = gold.sum(axis=1) > 1
    with np.errstate(divide="ignore"):
        value = -np.where(several, np.log(mass), single)
    return np.where(gold.any(axis=1), np.maximum(value, 0.0), np.nan)


def brier_values(probabilities: Array, gold: Array) -> Array:
    """(N,) sum over options of (p - y)^2, on the scale 0 to 2; NaN without a gold option.

    Several gold options count as one event. On documents with one gold option equal to the
    harness's `brier_score`, which fails where documents differ in their number of options.
    Source: Brier, 1950.
    """
    mass = row_sums(np.where(gold, probabilities, 0.0))
    value = (1.0 - mass) ** 2 + row_sums(np.where(gold, 0.0, probabilities**2))
    return np.where(gold.any(axis=1), value, np.nan)


def nll_moments(log_probabilities: Array) -> tuple[Array, Array]:
    """(N,) mean and variance of a document's NLL if its probabilities were true (entropy first)."""
    p = np.exp(log_probabilities)
    surprise = -np.where(p > 0, log_probabilities, 0.0)
    entropy = (p * surprise).sum(axis=1)
    return entropy, np.maximum((p * surprise**2).sum(axis=1) - entropy**2, 0.0)


def brier_moments(probabilities: Array) -> tuple[Array, Array]:
    """(N,) mean and variance of a document's Brier score if its probabilities were true."""
    square = (probabilities**2).sum(axis=1)
    return 1.0 - square, 4.0 * np.maximum((probabilities**3).sum(axis=1) - square**2, 0.0)


def mean(values: Array, *, weight: Array | GroupWeights | None = None) -> Any:
    """Weighted mean over the documents that have a value (are not NaN); NaN if none has.

    >>> mean(np.array([1.0, 3.0, np.nan]))
    2.0
    """
    v = np.asarray(values, dtype=np.float64)
    has = ~np.isnan(v)
    if isinstance(weight, GroupWeights):
        one = np.zeros(len(v), dtype=np.intp)
        total = weight.bin_sums(one, np.where(has, v, 0.0), 1)[:, 0]
        with np.errstate(invalid="ignore"):
            return total / weight.bin_sums(one, has.astype(np.float64), 1)[:, 0]
    w = checks.weights(weight, len(v))
    if not has.any():
        return float("nan") if w is None or w.ndim == 1 else np.full(len(w), np.nan)
    if w is None:
        return float(v[has].mean())
    with np.errstate(invalid="ignore", divide="ignore"):
        terms = np.where(w[..., has] > 0, w[..., has] * v[has], 0.0)
        result = terms.sum(axis=-1) / w[..., has].sum(axis=-1)
    return float(result) if result.ndim == 0 else result


def brier_reliability(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Reliability (miscalibration) part of Brier's score of the confidence; smaller is better.

    mean (confidence - correct)^2 = reliability - resolution + uncertainty, exactly and without
    bins: the confidences are recalibrated by isotonic regression. Source: CORP, Dimitriadis,
    Gneiting and Jordan, PNAS 2021. Equal to model-diagnostics' `miscalibration`. This is the
    score of the predicted option alone (0 to 1), not `brier`, which sums over all options.
    """
    return _corp(confidence, correct, weight)[0]


def brier_resolution(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Resolution (discrimination) part of Brier's score of the confidence; larger is better.

    See `brier_reliability`. Equal to model-diagnostics' `discrimination`.
    """
    return _corp(confidence, correct, weight)[1]


def brier_uncertainty(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Uncertainty part of Brier's score of the confidence: accuracy (1 - accuracy).

    See `brier_reliability`. A property of the task at this accuracy, not of the confidences.
    """
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    right = (y if w is None else w * y).sum(axis=-1)
    return number(_variance(right, total_weight(w, len(c))))


def _corp(confidence: Array, correct: Array, weight: Array | None) -> tuple[Any, Any]:
    """(reliability, resolution), each a float, or (B,) for (B, N) weights."""
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    order = np.argsort(c)
    starts, _ = tie_groups(c[order])
    ordered = np.ones(len(c)) if w is None else w[..., order]
    mass = group_sums(ordered, starts)
    right = group_sums(ordered * y[order], starts)
    n = total_weight(w, len(c))
    score = (ordered * ((c - y) ** 2)[order]).sum(axis=-1) / n
    recalibrated = _recalibrated_score(np.atleast_2d(mass), np.atleast_2d(right)) / n
    if np.ndim(n) == 0:
        recalibrated = recalibrated[0]
    parts = score - recalibrated, _variance(right.sum(axis=-1), n) - recalibrated
    return number(parts[0]), number(parts[1])


def _variance(right: Any, total: Any) -> Any:
    """Accuracy (1 - accuracy) of `right` documents in `total`."""
    accuracy = right / total
    return accuracy * (1 - accuracy)


def _recalibrated_score(mass: Array, right: Array) -> Array:
    """(B,) summed squared error after isotonic recalibration of the tie groups (B, G)."""
    from scipy.optimize import isotonic_regression

    result = np.empty(len(mass))
    for row, (m, r) in enumerate(zip(mass, right, strict=True)):
        m, r = m[m > 0], r[m > 0]
        q = np.clip(isotonic_regression(r / m, weights=m).x, 0.0, 1.0)
        result[row] = (r * (1 - q) ** 2 + (m - r) * q**2).sum()
    return result
