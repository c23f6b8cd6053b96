"""Smooth ECE, exactly: a Gaussian reflected at 0 and 1 is diagonal in the cosine basis."""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import Array, total_weight

GRID = 4096
_REPLICATE_GRID = 1024
_BISECTIONS = 30


def smece(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Smooth ECE: calibration error without bins, at the bandwidth equal to the error itself.

    The residuals (confidence - correct) are smoothed over [0, 1] by a Gaussian of width s,
    reflected at both ends; smECE_s is the integral of the result's absolute value, and smECE the
    s with smECE_s = s. Never below |mean confidence - accuracy|. Source: Blasiok and Nakkiran,
    ICLR 2024. relplot's value differs near 0 and 1, where its kernel loses a reflected endpoint.

    Args and errors as in `binned.ece`. Resolution: a grid of 4,096 cells; 1,024 for the
    replicates of (B, N) weights.

    >>> round(smece(np.repeat([1.0, 0.5], 1000), np.repeat([1, 0, 1, 0], [600, 400, 500, 500])), 2)
    0.2
    """
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    if w is None or w.ndim == 1:
        return float(_fixed_point(_spread(c, c - y, w, GRID)[None], total_weight(w, len(c)))[0])
    chunks = np.array_split(w, max(1, len(w) // 128))
    return np.concatenate(
        [_fixed_point(_spread(c, c - y, part, _REPLICATE_GRID), part.sum(-1)) for part in chunks]
    )


def _spread(c: Array, residual: Array, weight: Array | None, grid: int) -> Array:
    """Residuals shared linearly between the two nearest of `grid` cell centres: (grid,) or (B, grid)."""
    position = np.clip(c * grid - 0.5, 0.0, grid - 1.0)
    left = np.minimum(position.astype(np.intp), grid - 2)
    to_right = position - left
    if weight is not None and weight.ndim == 2:
        from scipy.sparse import csr_array

        rows = np.tile(np.arange(len(c)), 2)
        values = np.concatenate([residual * (1 - to_right), residual * to_right])
        spread = csr_array((values, (rows, np.concatenate([left, left + 1]))), (len(c), grid))
        return weight @ spread
    values = residual if weight is None else residual * weight
    cells = np.bincount(left, values * (1 - to_right), grid)
    return cells + np.bincount(left + 1, values * to_right, grid)


def _fixed_point(cells: Array, total: Any) -> Array:
    """(B,) the s at which smECE_s = s, by bisection: smECE_s falls as s grows."""
    from scipy.fft import dct, idct

    coefficients = dct(cells, norm="ortho", axis=-1)
    frequency = -0.5 * (np.pi * np.arange(cells.shape[-1])) ** 2
    low, high = np.zeros(len(cells)), np.ones(len(cells))
    for _ in range(_BISECTIONS):
        s = 0.5 * (low + high)
        smooth = idct(coefficients * np.exp(s[:, None] ** 2 * frequency), norm="ortho", axis=-1)
        above = np.abs(smooth).sum(axis=-1) / total > s
        low, high = np.where(above, s, low), np.where(above, high, s)
    return 0.5 * (low + high)
