"""A threshold that reaches a wanted precision on some documents, and what it gives on others."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics.accuracy import wilson_interval
from lm_eval_calibration.predictions import Bools, Floats


class Accepted(NamedTuple):
    """What lies at or above a threshold.

    Attributes:
        threshold: accepted is what scores as much or more.
        precision: share of the accepted that are positives; NaN where nothing is accepted.
        low, high: its 95 % interval (Wilson, 1927).
        recall: share of the positives that are accepted; NaN where there are none.
        share: of all that are accepted.
        number: how many are.
        of: how many there are.
    """

    threshold: float
    precision: float
    low: float
    high: float
    recall: float
    share: float
    number: int
    of: int


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


def guarantee(
    scores: ArrayLike, positive: ArrayLike, risk: float, level: float = 0.95
) -> float | None:
    """The lowest threshold of which it is sure, at a level, that at most `risk` of the accepted are wrong.

    Thresholds are tested from the highest on which the test could pass downwards, each by the binomial
    tail of its errors, until one fails (Learn then Test with a fixed sequence, Angelopoulos et al., 2021):
    over draws of the documents, the chance that any accepted threshold has a greater risk is at most 1 - level.
    What `reach` gives has no such promise: it is the best of many looks at the same documents.

    Args:
        scores: (N,) confidences of documents that were not fitted on.
        positive: (N,) whether each answer is right.
        risk: wanted, between 0 and 1.
        level: between 0 and 1.

    Returns:
        `None` where the documents are too few, or too often wrong, for any promise.

    Raises:
        InvalidInputError: a risk or level that cannot be, or columns of different lengths.

    >>> sure, right = [0.9] * 100 + [0.5] * 100, [1] * 100 + [0] * 100
    >>> guarantee(sure, right, 0.05), guarantee(sure[:40], right[:40], 0.05) is None
    (0.9, True)
    """
    from scipy.stats import binom  # slow to import

    for name, value in (("risk", risk), ("level", level)):
        if not 0 < value < 1:
            raise invalid(name, "between 0 and 1", value)
    s, y = _columns(scores, positive)
    order = np.argsort(-s, kind="stable")
    s, wrong = s[order], np.cumsum(~y[order])
    last = np.flatnonzero(np.append(s[1:] != s[:-1], True))  # equal scores are accepted together
    count = last + 1
    able = (1 - risk) ** count <= 1 - level  # (without an error: known without the labels)
    passes = binom.cdf(wrong[last], count, risk) <= 1 - level
    tested = np.flatnonzero(able)
    failed = np.flatnonzero(~passes[tested])
    good = tested[: failed[0]] if len(failed) else tested
    return float(s[last[good[-1]]]) if len(good) else None


def accept(scores: ArrayLike, positive: ArrayLike, threshold: float) -> Accepted:
    """What a threshold gives; see `reach` for the arguments."""
    s, y = _columns(scores, positive)
    taken = s >= threshold
    count, right = int(taken.sum()), int((taken & y).sum())
    low, high = wilson(right, count)
    return Accepted(
        threshold=float(threshold),
        precision=right / count if count else math.nan,
        low=low,
        high=high,
        recall=right / int(y.sum()) if y.any() else math.nan,
        share=count / len(s),
        number=count,
        of=len(s),
    )


def wilson(right: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, 1927); NaN of none."""
    return wilson_interval(right / count, count) if count else (math.nan, math.nan)


def _columns(scores: ArrayLike, positive: ArrayLike) -> tuple[Floats, Bools]:
    s, y = np.asarray(scores, dtype=np.float64), np.asarray(positive, dtype=bool)
    if s.ndim != 1 or s.shape != y.shape or not len(s):
        raise invalid("positive", f"as long as `scores`, {s.shape}, and not empty", y.shape)
    if np.isnan(s).any():
        raise invalid("scores", "without NaN", "NaN")
    return s, y
