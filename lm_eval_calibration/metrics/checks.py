"""Input checks shared by all metrics, so that one mistake has one message."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.arrays import as_array
from lm_eval_calibration.errors import invalid

Array = NDArray[Any]


class Drawn(np.ndarray[Any, np.dtype[np.float64]]):
    """Weights (B, N) that the package drew itself: replicates need no look at each number."""


def pairs(confidence: Array, correct: Array) -> tuple[Array, Array]:
    """Return `confidence` (N,) as float64 in [0, 1] and `correct` (N,) as booleans or 0 and 1.

    Raises:
        InvalidInputError: empty, of different lengths, NaN, or out of range. Nothing is clipped
            or dropped: an ECE that ignores what lies outside [0, 1] reports 0 for a model that
            is always wrong.
    """
    c = np.asarray(as_array(confidence), dtype=np.float64)
    y = np.asarray(as_array(correct))
    if c.ndim != 1 or c.shape != y.shape:
        raise invalid("confidence", "one-dimensional and as long as `correct`", (c.shape, y.shape))
    if not c.size:
        raise invalid("confidence", "at least one document", "none")
    low, high = c.min(), c.max()
    if not (low >= 0.0 and high <= 1.0):
        raise invalid("confidence", "probabilities in [0, 1]", f"values from {low} to {high}")
    if y.dtype != np.bool_ and not ((y == 0) | (y == 1)).all():
        raise invalid("correct", "0 or 1 (false or true)", np.unique(y)[:5].tolist())
    return c, y


def options(probabilities: Array, gold: Array) -> tuple[Array, Array]:
    """Return `probabilities` (N, K) as float64 in [0, 1] or NaN, and `gold` (N, K) as booleans.

    Raises:
        InvalidInputError: other shapes, out of range, or nothing but NaN.
    """
    p = np.asarray(as_array(probabilities), dtype=np.float64)
    g = np.asarray(as_array(gold))
    if p.ndim != 2 or p.shape != g.shape:
        raise invalid("probabilities", "(N, K), the same shape as `gold`", (p.shape, g.shape))
    low = np.fmin.reduce(p, axis=None, initial=np.nan)  # the smallest that is not NaN
    high = np.fmax.reduce(p, axis=None, initial=np.nan)
    if np.isnan(low):
        raise invalid("probabilities", "a probability for at least one option", "none")
    if not (low >= 0.0 and high <= 1.0):
        got = f"values from {low} to {high}"
        raise invalid("probabilities", "in [0, 1], or NaN for no option", got)
    return p, g.astype(bool)


def weights(weight: Array | None, count: int) -> Array | None:
    """Return `weight` as float64 of shape (N,) or (B, N), non-negative; `None` stays.

    Raises:
        InvalidInputError: wrong length, a negative or NaN weight, or a row that sums to 0.
    """
    if weight is None or (isinstance(weight, Drawn) and weight.shape[-1] == count):
        return weight
    w = np.asarray(weight, dtype=np.float64)
    if w.ndim not in (1, 2) or w.shape[-1] != count:
        raise invalid("weight", f"of shape ({count},) or (B, {count})", w.shape)
    if not (w.min(initial=0.0) >= 0.0 and w.max(initial=0.0) < np.inf):
        raise invalid("weight", "non-negative and finite", f"values from {w.min()} to {w.max()}")
    if not (w.sum(axis=-1) > 0).all():
        raise invalid("weight", "positive in sum", "a sum of 0")
    return w


def bin_number(argument: str, value: int) -> int:
    """Return `value` if it is an integer from 1 to 100,000, finer than which edges blur."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or not 1 <= value <= 100_000:
        raise invalid(argument, "an integer from 1 to 100,000", repr(value))
    return int(value)


def fraction(argument: str, value: float) -> float:
    """Return `value` if it lies in (0, 1]."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value <= 1.0:
        raise invalid(argument, "a number in (0, 1]", repr(value))
    return float(value)
