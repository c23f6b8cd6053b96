"""Accuracy, so that a reader has it beside the confidence: the harness's own figures, bit for bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lm_eval_calibration.metrics import checks
from lm_eval_calibration.metrics.binning import Array, number, total_weight


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


def exact_interval(correct: Array) -> tuple[float, float]:
    """95 % Clopper-Pearson interval of an accuracy of exactly 0 or 1, where the stderr is 0.

    All N right: an accuracy of 0.025^(1/N), about 1 - 3.7 / N, still gives that 1 time in 40.
    """
    least = 0.025 ** (1.0 / len(correct))
    return (least, 1.0) if np.all(correct) else (0.0, 1.0 - least)
