"""Reliability diagrams with matplotlib (the `plots` extra)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lm_eval_calibration.errors import MissingExtraError
from lm_eval_calibration.metrics.binned import NUM_BINS
from lm_eval_calibration.metrics.evaluate import estimate
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report.reliability import Reliability, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours: told apart by colour-blind readers, and in grey.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#999999"
FIGURE_SIZE = (4.4, 5.7)  # inches, one panel


def reliability_diagram(
    predictions: Predictions,
    ax: Axes | None = None,
    *,
    title: str | None = None,
    num_bins: int = NUM_BINS,
) -> Axes:
    """Draw accuracy against confidence, with what a calibrated model would show.

    Bars: accuracy in each confidence bin. Hatched: the gap to the bin's mean confidence (the
    diagonal is perfection). Whiskers: where a perfectly calibrated model's bar would end in
    95 of 100 runs with these confidences; bars that end inside are no evidence of
    miscalibration. Strip at the bottom: how many documents each bin holds.

    Args:
        predictions: N documents.
        ax: where to draw; a new figure by default.
        title: shown above, followed by the ECE with its standard error and null band.
        num_bins: equal-width bins.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    if ax is None:
        ax = _matplotlib("pyplot").subplots(figsize=FIGURE_SIZE)[1]
    _draw(ax, reliability(predictions, num_bins))
    ax.set_title(_caption(predictions, title, num_bins), fontsize=9, loc="left", pad=16)
    return ax


def save_diagrams(runs: Mapping[str, Predictions], path: str | Path) -> Path:
    """Draw one diagram per task into one image file, whose suffix sets the format.

    Args:
        runs: predictions by task name.
        path: e.g. `reliability.png` or `.svg`; its folder is made.
    """
    columns = min(len(runs), 3) if len(runs) != 4 else 2
    rows = -(-len(runs) // columns)
    width, height = FIGURE_SIZE
    figure: Figure = _matplotlib("figure").Figure(figsize=(width * columns, height * rows))
    axes = figure.subplots(rows, columns, squeeze=False, gridspec_kw={"hspace": 0.25}).ravel()
    for ax, (name, predictions) in zip(axes, runs.items(), strict=False):
        reliability_diagram(predictions, ax, title=name)
    for ax in axes[len(runs) :]:
        ax.set_axis_off()
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=150, bbox_inches="tight")
    return target


def _draw(ax: Axes, r: Reliability) -> None:
    width = r.edges[1]
    left = r.edges[r.index]
    gap = np.abs(r.accuracy - r.confidence)
    ax.bar(left, r.accuracy, width, align="edge", color=BLUE, edgecolor="white", label="accuracy")
    ax.bar(
        left, gap, width, np.minimum(r.accuracy, r.confidence), align="edge", fill=False,
        edgecolor=ORANGE, hatch="////", linewidth=0.8, label="gap to confidence",
    )  # fmt: skip
    middle = left + width / 2
    ax.vlines(middle, r.low, r.high, color="black", linewidth=1.2, label="if calibrated (95 %)")
    ax.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
    ax.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    ax.set_aspect("equal")
    ax.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=3, fontsize=7, frameon=False,
        borderaxespad=0.2, columnspacing=1.2,
    )  # fmt: skip
    _draw_counts(ax, r, width)


def _draw_counts(ax: Axes, r: Reliability, width: float) -> None:
    """A strip below the axis: how many documents each bin holds."""
    strip = ax.inset_axes((0, -0.3, 1, 0.13), sharex=ax)
    strip.bar(r.edges[r.index], r.count, width, align="edge", color=GREY, edgecolor="white")
    strip.set_ylabel("docs", fontsize=7)
    strip.tick_params(labelsize=7, labelbottom=False, bottom=False)
    strip.spines[["top", "right"]].set_visible(False)


def _caption(predictions: Predictions, title: str | None, num_bins: int) -> str:
    e = estimate(bind("ece", {"num_bins": num_bins}), predictions)
    error = f" ± {e.stderr:.3f}" if np.isfinite(e.stderr) else ""
    lines = [f"ECE {e.value:.3f}{error}, {len(predictions):,} documents"]
    if e.null:
        lines.append(f"(if calibrated: {e.null.low:.3f} to {e.null.high:.3f})")
    return "\n".join([title, *lines] if title else lines)


def _matplotlib(module: str) -> Any:
    """A module of matplotlib; the caller's choice of backend is left alone."""
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ImportError:
        raise MissingExtraError(
            "Diagrams need matplotlib: pip install 'lm-eval-calibration[plots]'."
        ) from None
