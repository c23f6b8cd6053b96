"""The one binning rule of the package, used by every metric and every plot.

Bins are right-closed, `(lo, hi]`, with 0 in the first. A value within 1e-9 of a bin's width from
an edge counts as lying on it, so that 0.1 + 0.2, 0.3 and 3/10 share a bin: verbalised
confidences sit on decimal grids, and `ceil(p * m)` and `searchsorted(linspace)` disagree there.
(float32 is coarser than that: its 0.3 is 0.30000001, above the edge. Keep decimals in float64.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.metrics.grouping import Array, GroupWeights

NUM_BINS = 15
_EDGE_TOLERANCE = 1e-9
_BLOCK = 1 << 15


def equal_width_bins(confidence: Array, num_bins: int) -> Array:
    """(N,) index in 0..num_bins-1 of the equal-width bin that holds each confidence in [0, 1].

    >>> equal_width_bins(np.array([0.0, 0.1, 0.1 + 0.2, 0.31, 1.0]), 10).tolist()
    [0, 0, 2, 3, 9]
    """
    position = confidence * num_bins
    position -= _EDGE_TOLERANCE
    return position.astype(np.intp)  # rounds towards 0, so an edge is the end of the bin below it


def tie_groups(ordered: Array) -> tuple[Array, Array]:
    """Start of every run of equal values in a sorted (N,) array, and each row's run number."""
    new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.flatnonzero(new), np.cumsum(new) - 1


def group_sums(values: Array, starts: Array) -> Array:
    """Sum the last axis of `values` (..., N) over the groups that begin at `starts` (G,)."""
    if len(starts) == values.shape[-1]:
        return values
    return np.add.reduceat(values, starts, axis=-1)


def equal_mass_bins(mass: Array, num_bins: int) -> Array:
    """(..., G) equal-mass bin of each tie group, given the mass (..., G) of the sorted groups.

    A group belongs to the bin in which its lowest-ranked document falls, so ties are never
    split and neither row order nor duplicating every row changes a bin.
    """
    before = np.cumsum(mass, axis=-1) - mass
    total = mass.sum(axis=-1, keepdims=True)
    index = np.floor(before / total * num_bins + _EDGE_TOLERANCE).astype(np.intp)
    return np.minimum(index, num_bins - 1)


def bin_sums(
    index: Array, values: Array, num_bins: int, weight: Array | GroupWeights | None
) -> Array:
    """Weighted sum of `values` (N,) in each bin: (num_bins,), or (B, num_bins) for (B, N) weights."""
    if weight is None:
        return np.bincount(index, values, num_bins)
    if isinstance(weight, GroupWeights):
        return weight.bin_sums(index, values, num_bins)
    if weight.ndim == 1:
        return np.bincount(index, weight * values, num_bins)
    if len(weight) == 1:
        return np.bincount(index, weight[0] * values, num_bins)[None]
    spread = np.zeros((len(values), num_bins))
    spread[np.arange(len(values)), index] = values
    return weight @ spread


def residual_sums(confidence: Array, correct: Array, num_bins: int) -> Array:
    """(num_bins,) sum of (confidence - correct) in each equal-width bin, in blocks that fit the cache."""
    sums = np.zeros(num_bins)
    for start in range(0, len(confidence), _BLOCK):
        c, y = confidence[start : start + _BLOCK], correct[start : start + _BLOCK]
        sums += np.bincount(equal_width_bins(c, num_bins), c - y, num_bins)
    return sums


def bin_counts(index: Array, num_bins: int, weight: Array | None) -> Array:
    """Weight of the documents in each bin: (num_bins,), or (B, num_bins)."""
    if weight is None:
        return np.bincount(index, minlength=num_bins).astype(np.float64)
    return bin_sums(index, np.ones(len(index)), num_bins, weight)


def total_weight(weight: Array | None, count: int) -> Any:
    """Sum of the weights over documents: `count` without weights, else () or (B,)."""
    return float(count) if weight is None else weight.sum(axis=-1)


def number(value: Any) -> Any:
    """A float for one estimate, the (B,) array for many."""
    return float(value) if np.ndim(value) == 0 else value
