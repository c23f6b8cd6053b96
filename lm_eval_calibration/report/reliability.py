"""Reliability diagram: accuracy against confidence, and what a calibrated model would show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.metrics.binned import NUM_BINS
from lm_eval_calibration.metrics.binning import bin_counts, bin_sums, equal_width_bins
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report import theme, wording
from lm_eval_calibration.report.smoothing import FEWEST_NEAR, Smooth, smooth_accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
NAME, HAS_STRIP = "Reliability", True
NOTE = (
    "Bar: accuracy of the answers in a bin of confidence. Grey: where the bars of\n"
    "95 in 100 calibrated models would end. Stem: from the bar's end to the mean\n"
    f"confidence. Curve: accuracy without bins, where {FEWEST_NEAR:.0f} documents are near."
)
"""What the marks are, for whoever sees the figure alone."""


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
        smooth: accuracy over confidence without bins.
    """

    edges: Floats
    index: NDArray[np.intp]
    confidence: Floats
    accuracy: Floats
    count: Floats
    low: Floats
    high: Floats
    smooth: Smooth


def prepare(predictions: Predictions, num_bins: int = NUM_BINS) -> Reliability:
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
        smooth=smooth_accuracy(c, y),
    )


def caption(r: Reliability, estimates: Mapping[str, Estimate]) -> str:
    """What a reader must know to read the figure, its numbers first."""
    outside = int(((r.accuracy < r.low) | (r.accuracy > r.high)).sum())
    parts = [
        wording.valued("ECE", estimates.get("ece")),
        f"{outside} of {len(r.index)} bins end outside the grey band",
        f"curve: Gaussian kernel of width {r.smooth.bandwidth:.3f}, where {FEWEST_NEAR:.0f} documents are near",
    ]
    return ". ".join(part[0].upper() + part[1:] for part in parts if part) + "."


def draw(ax: Axes, r: Reliability) -> None:
    """Bars: accuracy; stems: from there to the mean confidence; grey: where calibrated bars end."""
    theme.unit_axes(ax, "confidence", "accuracy")
    width = r.edges[1]
    left, middle = r.edges[r.index], r.edges[r.index] + width / 2
    ax.bar(
        left, r.accuracy, width, align="edge", color=theme.BLUE, alpha=0.35, linewidth=0,
        label="accuracy",
    )  # fmt: skip
    ax.bar(
        left, r.high - r.low, width, r.low, align="edge", color=theme.BAND, alpha=0.3, linewidth=0,
        label="if calibrated",
    )  # fmt: skip
    for end in (r.low, r.high):
        ax.hlines(end, left, left + width, color=theme.BAND, linewidth=1)
    ax.hlines(r.accuracy, left, left + width, color=theme.BLUE, linewidth=2)
    ax.vlines(middle, r.accuracy, r.confidence, color=theme.ORANGE, linewidth=1.6)
    ax.plot(middle, r.confidence, "o", color=theme.ORANGE, markersize=3.6)
    ax.plot(
        [], [], color=theme.ORANGE, linewidth=1.6, marker="o", markersize=3.6,
        label="gap to confidence",
    )  # fmt: skip
    ax.plot(
        [0, 1], [0, 1], color=theme.MUTED, linestyle=(0, (4, 3)), linewidth=0.9, label="perfect"
    )
    for x, y in r.smooth.pieces():
        ax.plot(x, y, color=theme.PAPER, linewidth=3.6, solid_capstyle="round")
        ax.plot(x, y, color=theme.INK, linewidth=1.6, solid_capstyle="round")
    ax.plot([], [], color=theme.INK, linewidth=1.6, label="smoothed")
    theme.legend_above(ax, 3)
    _draw_counts(ax, r, width)


def _draw_counts(ax: Axes, r: Reliability, width: float) -> None:
    """The strip: how many documents each bin holds."""
    strip = theme.strip(ax)
    strip.bar(r.edges[r.index], r.count, width * 0.9, align="edge", color=theme.BAND, linewidth=0)
    strip.set(ylim=(0, r.count.max() * 1.05), xlabel="confidence")
    most = int(r.count.argmax())
    at_left = r.edges[r.index[most]] >= 0.5
    strip.annotate(
        f"documents per bin, at most {int(r.count.max()):,}", (0.01 if at_left else 0.99, 0.97),
        xycoords="axes fraction", fontsize=theme.SMALL, color=theme.MUTED, va="top",
        ha="left" if at_left else "right",
    )  # fmt: skip
