"""The numbers behind a reliability diagram, apart from ink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.metrics.binned import NUM_BINS
from lm_eval_calibration.metrics.binning import bin_counts, bin_sums, equal_width_bins
from lm_eval_calibration.predictions import Predictions

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Accuracy against confidence, bin by bin; empty bins are left out.

    Attributes:
        edges: (num_bins + 1,) of all bins.
        index: (B,) which bins hold documents; the rest is per such bin:
        confidence: (B,) mean confidence.
        accuracy: (B,) share of right answers.
        count: (B,) documents.
        low, high: (B,) the interval that holds a perfectly calibrated model's accuracy in 95 of
            100 runs with these confidences.
    """

    edges: Floats
    index: NDArray[np.intp]
    confidence: Floats
    accuracy: Floats
    count: Floats
    low: Floats
    high: Floats


def reliability(predictions: Predictions, num_bins: int = NUM_BINS) -> Reliability:
    """Bin `predictions` by the package's one rule (see `metrics.binning`)."""
    from scipy.stats import binom

    c = np.asarray(predictions.confidence, dtype=np.float64)
    y = np.asarray(predictions.correct, dtype=np.float64)
    bins = equal_width_bins(c, num_bins)
    count = bin_counts(bins, num_bins, None)
    index = np.flatnonzero(count)
    n = count[index]
    confidence = np.clip(bin_sums(bins, c, num_bins, None)[index] / n, 0.0, 1.0)
    return Reliability(
        edges=np.arange(num_bins + 1) / num_bins,
        index=index,
        confidence=confidence,
        accuracy=bin_sums(bins, y, num_bins, None)[index] / n,
        count=n,
        low=binom.ppf(0.025, n, confidence) / n,
        high=binom.ppf(0.975, n, confidence) / n,
    )
