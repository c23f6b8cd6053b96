"""A threshold that reaches a wanted precision on some documents, and what it gives on others."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Bools, Floats


class Accepted(NamedTuple):
    """What lies at or above a threshold.

    Attributes:
        threshold: accepted is what scores as much or more.
        precision: share of the accepted that are positives; NaN where nothing is accepted.
        low, high: its 95 % interval (Wilson, 1927).
        recall: share of the positives that are accepted; NaN where there are none.
        share: of all that are accepted.
    """

    threshold: float
    precision: float
    low: float
    high: float
    recall: float
    share: float


def reach(scores: ArrayLike, positive: ArrayLike, precision: float) -> float | None:
    """The lowest threshold at which the precision is as wanted, and the recall thus largest.

    Args:
        scores: (N,) e.g. a class's probability.
        positive: (N,) whether it is that class.
        precision: wanted, above 0 and at most 1.

    Returns:
        `None` where no threshold reaches it.

    Raises:
        InvalidInputError: a precision that cannot be, or columns of different lengths.

    >>> reach([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1], 0.75)
    0.6
    >>> reach([0.9, 0.8], [0, 0], 0.5) is None
    True
    """
    if not 0 < precision <= 1:
        raise invalid("precision", "above 0 and at most 1", precision)
    s, y = _columns(scores, positive)
    order = np.argsort(-s, kind="stable")
    s, right = s[order], np.cumsum(y[order])
    last = np.append(s[1:] != s[:-1], True)  # equal scores are accepted together
    good = last & (right >= precision * np.arange(1, len(s) + 1) - 1e-12)
    return float(s[np.flatnonzero(good)[-1]]) if good.any() else None


def accept(scores: ArrayLike, positive: ArrayLike, threshold: float) -> Accepted:
    """What a threshold gives; see `reach` for the arguments."""
    s, y = _columns(scores, positive)
    taken = s >= threshold
    count, right = int(taken.sum()), int((taken & y).sum())
    low, high = _wilson(right, count)
    return Accepted(
        threshold=float(threshold),
        precision=right / count if count else math.nan,
        low=low,
        high=high,
        recall=right / int(y.sum()) if y.any() else math.nan,
        share=count / len(s),
    )


def _wilson(right: int, count: int) -> tuple[float, float]:
    if not count:
        return math.nan, math.nan
    from scipy.stats import binomtest  # slow to import

    found = binomtest(right, count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _columns(scores: ArrayLike, positive: ArrayLike) -> tuple[Floats, Bools]:
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if s.ndim != 1 or s.shape != y.shape or not len(s):
        raise invalid("positive", f"as long as `scores`, {s.shape}, and not empty", y.shape)
    if np.isnan(s).any():
        raise invalid("scores", "without NaN", "NaN")
    return s, y
