"""Classwise ECE: a calibration error of all options, not of the predicted one alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import NUM_BINS, Array, bin_sums, equal_width_bins, number
from lm_eval_calibration.metrics.grouping import GroupWeights
from lm_eval_calibration.metrics.resampling import SEED

NORMAL_FROM = 8192
"""Documents beyond which the null's sums are drawn as what they then are, jointly normal."""


def classwise_ece(
    probabilities: Array,
    gold: Array,
    *,
    num_bins: int = NUM_BINS,
    weight: Array | GroupWeights | None = None,
) -> Any:
    """Classwise ECE: the binned error of p(class k) against "k is right", averaged over classes.

    `probabilities` and `gold` are (N, K); NaN in `probabilities` marks an option that a document
    does not have, and such entries take no part. Source: Kull et al., NeurIPS 2019. Classes are
    option positions: for A, B, C, D questions it shows a letter bias that `ece` cannot see.
    """
    p, g = checks.options(probabilities, gold)
    w = weight if isinstance(weight, GroupWeights) else checks.weights(weight, len(p))
    checks.bin_number("num_bins", num_bins)
    classes = zip(p.T, g.T, strict=True)
    return number(np.nanmean([_class_error(*column, num_bins, w) for column in classes], axis=0))


def _class_error(p: Array, right: Array, num_bins: int, weight: Any) -> Array:
    """ECE of one class, () or (B,); NaN where no document (of a replicate) has the option."""
    has = ~np.isnan(p)
    q = np.where(has, p, 0.0)
    sums = bin_sums(equal_width_bins(q, num_bins), np.where(has, q - right, 0.0), num_bins, weight)
    count = bin_sums(np.zeros(len(p), dtype=np.intp), has.astype(np.float64), 1, weight)[..., 0]
    error = np.abs(sums).sum(axis=-1)
    return np.divide(error, count, out=np.full(np.shape(error), np.nan), where=count > 0)


def classwise_null(
    probabilities: Array, gold: Array, *, replicates: int, num_bins: int = NUM_BINS
) -> Array:
    """(replicates,) classwise ECE of a model whose gold options are drawn from `probabilities`.

    Only the sum of (p - "k is right") in each bin of each class is needed. Up to `NORMAL_FROM`
    documents the options are drawn; beyond, the sums, from the normal distribution with their
    exact mean, 0, and covariance. `gold` (N, K) is not read.
    """
    p, _ = checks.options(probabilities, gold)
    has = ~np.isnan(p)
    count = has.sum(axis=0)
    p = np.where(has, p, 0.0).T  # (K, N)
    bins = equal_width_bins(p, checks.bin_number("num_bins", num_bins))
    drawn = _drawn_sums if p.shape[1] <= NORMAL_FROM else _normal_sums
    sums = drawn(p, bins, num_bins, replicates)  # (B, K, bins)
    seen = count > 0
    return (np.abs(sums[:, seen]).sum(axis=2) / count[seen]).mean(axis=1)


def _drawn_sums(p: Array, bins: Array, num_bins: int, replicates: int) -> Array:
    """(B, K, bins) sums of (p - drawn) for a gold option drawn in every document (K, N)."""
    k, n = p.shape
    cells = bins + np.arange(k)[:, None] * num_bins
    expected = np.bincount(cells.ravel(), p.ravel(), k * num_bins)
    cumulative, documents = np.cumsum(p, axis=0), np.arange(n)
    rng = np.random.default_rng(SEED)
    sums = np.empty((replicates, k * num_bins))
    for row in sums:
        option = (rng.random(n) * cumulative[-1] >= cumulative).sum(axis=0)
        row[:] = expected - np.bincount(cells[option, documents], minlength=k * num_bins)
    return sums.reshape(replicates, k, num_bins)


def _normal_sums(p: Array, bins: Array, num_bins: int, replicates: int) -> Array:
    """(B, K, bins) the same sums, drawn from their normal limit.

    A document adds p_k (1 - p_k) to the variance of its bin of class k, and -p_k p_l to the
    covariance with its bin of class l: one two-dimensional histogram for every pair of classes.
    """
    k = len(p)
    covariance = np.zeros((k, num_bins, k, num_bins))
    for i in range(k):
        np.fill_diagonal(covariance[i, :, i], np.bincount(bins[i], p[i], num_bins))
        for j in range(i + 1):
            cells = bins[i] * num_bins + bins[j]
            shared = np.bincount(cells, p[i] * p[j], num_bins**2).reshape(num_bins, num_bins)
            covariance[i, :, j] -= shared
            if j < i:
                covariance[j, :, i] -= shared.T
    size = k * num_bins
    sums = np.random.default_rng(SEED).multivariate_normal(
        np.zeros(size), covariance.reshape(size, size), replicates, "ignore", method="eigh"
    )
    return sums.reshape(replicates, k, num_bins)
