"""The mean of a metric over independent tasks, with its standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Mean(NamedTuple):
    """A mean over tasks and its standard error."""

    value: float
    stderr: float


def weighted_mean(
    values: Sequence[float], stderrs: Sequence[float], weights: Sequence[float]
) -> Mean:
    """Mean of (T,) values by (T,) weights; the tasks' standard errors add up in squares.

    >>> weighted_mean([0.1, 0.3], [0.03, 0.04], [1, 1]).stderr
    0.025
    """
    share = np.array(weights) / sum(weights)
    return Mean(float(share @ np.array(values)), float(np.sqrt(share**2 @ np.array(stderrs) ** 2)))
