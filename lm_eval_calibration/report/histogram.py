"""Confidence histograms, right answers up and wrong ones down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.metrics.binned import NUM_BINS
from lm_eval_calibration.metrics.binning import equal_width_bins
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report import theme, wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
_ROOM = 0.36  # of the axis, for the longer name
NAME, HAS_STRIP = "Confidence of right and wrong answers", False


@dataclass(frozen=True)
class Histogram:
    """How confident right and wrong answers are.

    Attributes:
        edges: (num_bins + 1,) of the bins.
        right, wrong: (num_bins,) documents.
        confidence, accuracy: means over all documents.
        confidence_right, confidence_wrong: means over those; NaN where there are none.
    """

    edges: Floats
    right: NDArray[np.intp]
    wrong: NDArray[np.intp]
    confidence: float
    accuracy: float
    confidence_right: float
    confidence_wrong: float


def prepare(predictions: Predictions, num_bins: int = NUM_BINS) -> Histogram:
    """Count right and wrong answers in the bins of the reliability diagram."""
    c = np.asarray(predictions.confidence, dtype=np.float64)
    y = np.asarray(predictions.correct, dtype=bool)
    bins = equal_width_bins(c, num_bins)
    return Histogram(
        edges=np.arange(num_bins + 1) / num_bins,
        right=np.bincount(bins[y], minlength=num_bins),
        wrong=np.bincount(bins[~y], minlength=num_bins),
        confidence=float(c.mean()),
        accuracy=float(y.mean()),
        confidence_right=float(c[y].mean()) if y.any() else float("nan"),
        confidence_wrong=float(c[~y].mean()) if not y.all() else float("nan"),
    )


def caption(h: Histogram, estimates: Mapping[str, Estimate]) -> str:
    """What a reader must know to read the figure, its numbers first."""
    right, wrong = _mean("right", h.confidence_right), _mean("wrong", h.confidence_wrong)
    means = f"Mean confidence: {right}, {wrong}."
    auroc = wording.valued("AUROC", estimates.get("auroc"))
    return f"{auroc}. {means}" if auroc else means


def _mean(answers: str, confidence: float) -> str:
    if np.isnan(confidence):
        return f"no {answers} answers"
    return f"{confidence:.3f} of {answers} answers"


def draw(ax: Axes, h: Histogram) -> None:
    """Bars up: right answers; bars down: wrong ones, on one scale; lines: the two means."""
    theme.dress(ax)
    width = h.edges[1]
    for counts, colour, label in (
        (h.right, theme.BLUE, "right"),
        (-h.wrong, theme.ORANGE, "wrong"),
    ):
        ax.bar(
            h.edges[:-1] + 0.05 * width, counts, 0.9 * width, align="edge", color=colour,
            alpha=0.75, linewidth=0, label=label,
        )  # fmt: skip
    up, down = int(h.right.max()), int(h.wrong.max())
    ax.set(xlim=(0, 1), xticks=[0, 0.2, 0.4, 0.6, 0.8, 1], xlabel="confidence")
    ax.set_ylim(-1.08 * max(down, 0.1 * up), 1.08 * max(up, 0.1 * down) + 0.18 * (up + down))
    ax.grid(color=theme.RULE, linewidth=0.6)
    ax.axhline(0, color=theme.MUTED, linewidth=0.8)
    ax.yaxis.set_major_locator(theme.matplotlib("ticker").MaxNLocator(7, integer=True))
    ax.yaxis.set_major_formatter(lambda value, _: f"{abs(value):,.0f}")
    _draw_means(ax, h)
    theme.name_above(ax, "documents")
    theme.legend_above(ax, 2)


def _draw_means(ax: Axes, h: Histogram) -> None:
    """Mean confidence and accuracy: the distance between them is the over-confidence.

    The larger one's line ends higher, so that its name, on either side, crosses no other line.
    """
    means = [("mean confidence", h.confidence, "-"), ("accuracy", h.accuracy, "--")]
    means.sort(key=lambda mean: mean[1])
    for rank, (label, value, line) in enumerate(means):
        height = (0.92, 0.985)[rank]
        ax.plot(
            [value, value], [0, height], transform=ax.get_xaxis_transform(), color=theme.INK,
            linewidth=1.1, linestyle=line,
        )  # fmt: skip
        at_left = value > _ROOM if rank == 0 else value > 1 - _ROOM
        ax.annotate(
            f"{label} {value:.2f}", (value, height), xycoords=ax.get_xaxis_transform(),
            xytext=(-4 if at_left else 4, 0), textcoords="offset points", fontsize=theme.SMALL,
            ha="right" if at_left else "left", va="top", zorder=5,
            bbox={"facecolor": theme.PAPER, "edgecolor": "none", "pad": 1},
        )  # fmt: skip
