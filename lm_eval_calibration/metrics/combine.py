"""The mean of a metric over tasks, with its standard error: ours, and the harness's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

import numpy as np


class Mean(NamedTuple):
    """A mean over tasks and its standard error."""

    value: float
    stderr: float


class Arithmetic(Enum):
    """How a group's row is made of its tasks' rows, in a live run.

    `OURS` is that of our metrics: by size, without tasks in which the metric is undefined. The harness's
    own rows are by size or plain, as `weight_by_size` of the group's `aggregate_metric_list` has it.
    """

    OURS = "ours"
    BY_SIZE = "by size"
    PLAIN = "plain"


def weighted_mean(
    values: Sequence[float], stderrs: Sequence[float], weights: Sequence[float]
) -> Mean:
    """Mean of (T,) values by (T,) weights; the tasks' standard errors add up in squares.

    >>> weighted_mean([0.1, 0.3], [0.03, 0.04], [1, 1]).stderr
    0.025
    """
    share = np.array(weights) / sum(weights)
    return Mean(float(share @ np.array(values)), float(np.sqrt(share**2 @ np.array(stderrs) ** 2)))


def harness_mean(
    values: Sequence[float], stderrs: Sequence[float], sizes: Sequence[int], by_size: bool
) -> Mean:
    """A row of `aggregate_metric_list` as the harness computes it, operation by operation.

    As `aggregate_subtask_metrics` has it, with the standard error of `pooled_sample_stderr` or, of a plain
    mean, `unweighted_mean_stderr`; NaN where a task has none.

    >>> harness_mean([0.25, 0.5], [0.03, 0.04], [1, 3], False)
    Mean(value=0.375, stderr=0.025)
    """
    weights = list(sizes) if by_size else [1] * len(sizes)
    value = sum([v * w for v, w in zip(values, weights, strict=True)]) / sum(weights)
    if not by_size:
        return Mean(value, float(np.sqrt(sum(e**2 for e in stderrs)) / len(stderrs)))
    if sum(sizes) == len(sizes):
        return Mean(value, math.nan)
    parts = [(size - 1) * e**2 * size for size, e in zip(sizes, stderrs, strict=True)]
    variance = sum(parts) / (sum(sizes) - len(sizes))
    return Mean(value, float(np.sqrt(variance / sum(sizes))))


def mean_of(
    arithmetic: Arithmetic, values: Sequence[float], stderrs: Sequence[float], sizes: Sequence[int]
) -> Mean | None:
    """A group's row of its tasks' figures; `None` if the metric is defined in none of them."""
    if arithmetic is not Arithmetic.OURS:
        return harness_mean(values, stderrs, sizes, arithmetic is Arithmetic.BY_SIZE)
    defined = [i for i, value in enumerate(values) if not math.isnan(value)]
    if not defined:
        return None
    of_these = [[column[i] for i in defined] for column in (values, stderrs, sizes)]
    return weighted_mean(*of_these)
