"""Binned calibration errors of (confidence, correct) pairs.

Every function takes `confidence` (N,) in [0, 1], `correct` (N,) of 0 and 1, and an optional
`weight`: (N,) gives a weighted estimate, (B, N) gives B estimates at once (bootstrap replicates).
Smaller is better for all. Errors: see `checks.pairs` and `checks.weights`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import (
    NUM_BINS,
    Array,
    bin_counts,
    bin_sums,
    equal_mass_bins,
    equal_width_bins,
    group_sums,
    number,
    residual_sums,
    tie_groups,
    total_weight,
)


def ece(
    confidence: Array, correct: Array, *, num_bins: int = NUM_BINS, weight: Array | None = None
) -> Any:
    """Expected calibration error: sum over bins of (n_b / N) |accuracy_b - confidence_b|.

    Source: Naeini et al., AAAI 2015; Guo et al., ICML 2017, eq. 3. Equal to
    uncertainty-calibration's and to torchmetrics' `l1` (which puts p = 1 in a bin of its own).
    The plug-in value is biased upwards in small samples: read it beside its null band.

    >>> ece(np.array([0.9, 0.9, 0.6, 0.6]), np.array([1, 0, 1, 1]))
    0.4
    """
    if weight is None:
        c, y = checks.pairs(confidence, correct)
        sums = residual_sums(c, y, checks.bin_number("num_bins", num_bins))
        return float(np.abs(sums).sum() / len(c))
    c, y, w, index = _prepare(confidence, correct, num_bins, weight)
    error = np.abs(bin_sums(index, c - y, num_bins, w)).sum(axis=-1)
    return number(error / total_weight(w, len(c)))


def mce(
    confidence: Array, correct: Array, *, num_bins: int = NUM_BINS, weight: Array | None = None
) -> Any:
    """Maximum calibration error: the largest |accuracy_b - confidence_b| of a non-empty bin.

    Source: Naeini et al., AAAI 2015. Dominated by the emptiest bin; use with many documents.
    """
    gap, count, _ = _gaps(confidence, correct, num_bins, weight)
    return number(np.where(count > 0, np.abs(gap), 0.0).max(axis=-1))


def rmsce(
    confidence: Array, correct: Array, *, num_bins: int = NUM_BINS, weight: Array | None = None
) -> Any:
    """Root mean square calibration error: the L2 relative of ECE, never below it.

    Source: Hendrycks et al., ICLR 2019. torchmetrics calls it `l2`.
    """
    gap, count, total = _gaps(confidence, correct, num_bins, weight)
    return number(np.sqrt((count * gap**2).sum(axis=-1) / total))


def debiased_ece(
    confidence: Array, correct: Array, *, num_bins: int = NUM_BINS, weight: Array | None = None
) -> Any:
    """Debiased L2 calibration error: `rmsce` less its sampling noise, floored at 0.

    Each bin's squared gap is reduced by accuracy (1 - accuracy) / (n_b - 1); bins with fewer than
    two documents count 0. Source: Kumar, Liang and Ma, NeurIPS 2019, definition 4.3. Equal to
    uncertainty-calibration's `unbiased_l2_ce` on the same bins. Weights count documents.
    """
    c, y, w, index = _prepare(confidence, correct, num_bins, weight)
    count = bin_counts(index, num_bins, w)
    filled = np.maximum(count, 1e-300)
    accuracy = bin_sums(index, y, num_bins, w) / filled
    gap = bin_sums(index, c - y, num_bins, w) / filled
    noise = accuracy * (1 - accuracy) / np.maximum(count - 1, 1e-300)
    square = np.where(count >= 2, count * (gap**2 - noise), 0.0).sum(axis=-1)
    return number(np.sqrt(np.maximum(square, 0.0) / total_weight(w, len(c))))


def ace(
    confidence: Array, correct: Array, *, num_bins: int = NUM_BINS, weight: Array | None = None
) -> Any:
    """Adaptive calibration error: ECE over bins of equal mass instead of equal width.

    Tied confidences are never split. Source: Nguyen and O'Connor, EMNLP 2015; Nixon et al.,
    CVPR-W 2019 (there over all classes; here over the predicted option). Equal to
    uncertainty-calibration's equal-mass ECE where `num_bins` divides N. Not netcal's `ACE`, an unweighted mean over bins.
    """
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    checks.bin_number("num_bins", num_bins)
    order = np.argsort(c)
    starts, _ = tie_groups(c[order])
    ordered = np.ones(len(c)) if w is None else w[..., order]
    mass = group_sums(ordered, starts)
    residual = group_sums(ordered * (c - y)[order], starts)
    index = equal_mass_bins(mass, num_bins)
    rows = np.arange(index[..., 0].size)[:, None] * num_bins
    flat = (np.atleast_2d(index) + rows).ravel()
    sums = np.bincount(flat, residual.ravel(), rows.size * num_bins).reshape(-1, num_bins)
    error = np.abs(sums).sum(axis=-1).reshape(index.shape[:-1])
    return number(error / total_weight(w, len(c)))


def tl_ece(
    confidence: Array,
    correct: Array,
    predicted: Array,
    *,
    num_bins: int = NUM_BINS,
    weight: Array | None = None,
) -> Any:
    """Top-label ECE: ECE inside each predicted class, averaged by the classes' frequency.

    Asks that among documents predicted as class k with confidence p, a fraction p be right, for
    every k. `predicted` (N,) holds the class, for multiple choice the option's position. Never
    below `ece` on the same bins. Source: Gupta and Ramdas, ICLR 2022, eq. 5.

    >>> tl_ece(np.array([0.5, 0.5]), np.array([1, 0]), np.array([0, 1]))
    0.5
    """
    c, y, w, index = _prepare(confidence, correct, num_bins, weight)
    if np.shape(predicted) != c.shape:
        raise invalid("predicted", f"of shape {c.shape}, as `confidence`", np.shape(predicted))
    _, label = np.unique(np.asarray(predicted), return_inverse=True)
    cells = label.reshape(-1) * num_bins + index
    error = np.abs(bin_sums(cells, c - y, int(label.max() + 1) * num_bins, w)).sum(axis=-1)
    return number(error / total_weight(w, len(c)))


def _prepare(
    confidence: Array, correct: Array, num_bins: int, weight: Array | None
) -> tuple[Array, Array, Array | None, Array]:
    """Checked confidence, correctness and weight, and each document's equal-width bin."""
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    return c, y, w, equal_width_bins(c, checks.bin_number("num_bins", num_bins))


def _gaps(
    confidence: Array, correct: Array, num_bins: int, weight: Array | None
) -> tuple[Array, Array, Any]:
    """Mean of (confidence - correct) and weight in each bin, and the total weight."""
    c, y, w, index = _prepare(confidence, correct, num_bins, weight)
    count = bin_counts(index, num_bins, w)
    gap = bin_sums(index, c - y, num_bins, w) / np.maximum(count, 1e-300)
    return gap, count, total_weight(w, len(c))
