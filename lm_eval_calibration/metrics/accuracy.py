"""Accuracy, so that a reader has it beside the confidence: the harness's own figures, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import Array, number, total_weight

_QUANTILE = 1.959963984540054
"""Of the normal distribution at .975."""


def acc(confidence: Array, correct: Array, *, weight: Array | None = None) -> Any:
    """Accuracy: the mean of `correct`. Larger is better. Equal to the harness's `acc`.

    A metric of (confidence, correct) like any other; `confidence` enters only its null band,
    which shows the accuracy that the confidences promise. Arguments and errors as in `binned`.

    >>> acc(np.array([0.9, 0.8, 0.7]), np.array([1, 0, 1]))
    0.666...
    """
    c, y = checks.pairs(confidence, correct)
    w = checks.weights(weight, len(c))
    if w is None:
        return float(np.count_nonzero(y) / len(y))
    return number(w @ y.astype(np.float64) / total_weight(w, len(y)))


def acc_stderr(correct: Array) -> float:
    """Standard error of the mean of `correct` (N,) of 0 and 1; NaN below two documents.

    Equal to the harness's `mean_stderr` to the last bit: the same Python operations, in its order.
    """
    n = len(correct)
    if n < 2:
        return float("nan")
    mean = float(np.count_nonzero(correct) / n)
    right, wrong = (1.0 - mean) ** 2, (0.0 - mean) ** 2
    return math.sqrt(sum(np.where(correct, right, wrong).tolist()) / (n - 1)) / math.sqrt(n)


def wilson_interval(
    accuracy: float, documents: float, quantile: float = _QUANTILE
) -> tuple[float, float]:
    """95 % interval of an accuracy: those that it is within 1.96 of their own standard errors of.

    Unlike 1.96 standard errors on either side it keeps its level near 0 and 1, and has a width there.
    Source: Wilson, JASA 1927.

    Args:
        accuracy: in [0, 1].
        documents: how many independent ones it is worth, above 0.
        quantile: instead of 1.96, as where few clusters tell it.

    >>> [round(end, 3) for end in wilson_interval(1.0, 10)]
    [0.722, 1.0]
    """
    z = quantile**2 / documents
    centre, half = accuracy + z / 2, math.sqrt(z * (accuracy * (1 - accuracy) + z / 4))
    return (centre - half) / (1 + z), (centre + half) / (1 + z)
