"""Heat map: confidence less accuracy, task by task and bin by bin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.metrics.binned import NUM_BINS
from lm_eval_calibration.metrics.binning import bin_counts, bin_sums, equal_width_bins
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report import svg, theme, wording
from lm_eval_calibration.texts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
NAME = "Where the gaps are"
ROW, HEAD, FOOT = 17, 20, 66  # px of a row, above and below the rows
LEFT, CELLS = 140, 162  # px of the names, and of all bins
_SMALLEST, _LARGEST = 4.0, 11.0  # px
_LONGEST = 22  # characters
_FULL = 0.5


@dataclass(frozen=True)
class HeatMap:
    """Gaps of T tasks in B bins of confidence.

    Attributes:
        names: (T,) of the tasks.
        gap: (T, B) mean confidence less accuracy; NaN where there are no documents.
        count: (T, B) documents.
        accuracy, ece: (T,) of the tasks, ECE on these bins.
    """

    names: tuple[str, ...]
    gap: Floats
    count: Floats
    accuracy: Floats
    ece: Floats


def prepare(
    names: Sequence[str], predictions: Sequence[Predictions], num_bins: int = NUM_BINS
) -> HeatMap:
    """Bin every task's documents by the package's one rule."""
    sums, count = np.zeros((2, len(names), num_bins))
    for row, p in enumerate(predictions):
        c = np.asarray(p.confidence, dtype=np.float64)
        bins = equal_width_bins(c, num_bins)
        count[row] = bin_counts(bins, num_bins, None)
        sums[row] = bin_sums(bins, c - p.correct, num_bins, None)
    gap = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0)
    return HeatMap(
        names=tuple(map(printable, names)),
        gap=gap,
        count=count,
        accuracy=np.array([float(p.correct.mean()) for p in predictions]),
        ece=np.abs(sums).sum(axis=1) / count.sum(axis=1),
    )


def caption(h: HeatMap) -> str:
    """What a reader must know to read the figure."""
    return (
        "Each square is a bin of confidence: orange where confidence is above accuracy, blue "
        "where it is below, pale where they agree; the larger, the more of the task's documents "
        "it holds. No square, no documents."
    )


def canvas(h: HeatMap, top: float = 0.0) -> tuple[Figure, Axes]:
    """A figure of the size that the tasks need, and its axes."""
    height = ROW * len(h.names)
    figure = theme.canvas(theme.WIDTH, top + HEAD + height + FOOT)
    return figure, theme.place(figure, LEFT, top + HEAD, CELLS, height)


def draw(ax: Axes, h: HeatMap) -> None:
    """One row a task, squares as large as their bins are full, ECE and accuracy at the right."""
    tasks, num_bins = h.gap.shape
    theme.dress(ax)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.set(xlim=(0, num_bins), ylim=(tasks, 0))
    ax.set_xticks(np.linspace(0, num_bins, 6), ["0", ".2", ".4", ".6", ".8", "1"])
    ax.set_yticks(np.arange(tasks) + 0.5, shortened(h.names))
    for row in range(tasks + 1):
        ax.axhline(row, color=theme.RULE, linewidth=0.5)
    for row, column in zip(*np.nonzero(h.count), strict=True):
        _draw_square(ax, h, int(row), int(column))
    _draw_numbers(ax, h)
    _draw_key(ax)


def shortened(names: Sequence[str]) -> list[str]:
    """The names without the words that all begin with, cut to what fits.

    >>> shortened(["mmlu_law", "mmlu_high_school_government_and_politics"])
    ['law', 'high_school_governmen…']
    """
    shared = wording.common_start(names, "_")
    own = [name.removeprefix(shared) for name in names]
    return [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in own]


def _draw_square(ax: Axes, h: HeatMap, row: int, column: int) -> None:
    gap, num_bins = float(h.gap[row, column]), h.gap.shape[1]
    share = float(h.count[row, column] / h.count[row].max())
    side = _SMALLEST + (_LARGEST - _SMALLEST) * share**0.5
    direction = "above" if gap > 0 else "below"
    count = int(h.count[row, column])
    _patch(ax, column + 0.5, row + 0.5, (side * num_bins / CELLS, side / ROW), gap).set_gid(
        f"{svg.TIP}{h.names[row]}, confidence {column / num_bins:.2f} to "
        f"{(column + 1) / num_bins:.2f}: {count:,} document{'s' * (count > 1)}, mean confidence "
        f"{abs(gap):.3f} {direction} accuracy"
    )


def _patch(ax: Axes, x: float, y: float, size: tuple[float, float], gap: float) -> Any:
    """A rectangle centred at (x, y) in the colour of a gap, full at .5 and beyond."""
    rectangle = theme.matplotlib("patches").Rectangle(
        (x - size[0] / 2, y - size[1] / 2), *size, linewidth=0,
        facecolor=theme.ORANGE if gap > 0 else theme.BLUE,
        alpha=0.08 + 0.92 * min(abs(gap) / _FULL, 1.0),
    )  # fmt: skip
    return ax.add_patch(rectangle)


def _draw_numbers(ax: Axes, h: HeatMap) -> None:
    """ECE and accuracy in two columns at the right."""
    for offset, head, values in ((36, "ECE", h.ece), (74, "acc", h.accuracy)):
        texts = [(-0.45, head, theme.MUTED)]
        texts += [(row + 0.5, f"{value:.3f}", theme.INK) for row, value in enumerate(values)]
        for row, text, colour in texts:
            ax.annotate(
                text, (1, row), xycoords=("axes fraction", "data"), xytext=(offset, 0),
                textcoords="offset points", ha="right", va="center", fontsize=theme.SMALL,
                color=colour,
            )  # fmt: skip
    ax.annotate(
        "confidence", (0, -0.45), xycoords=("axes fraction", "data"), va="center",
        fontsize=theme.SMALL, color=theme.MUTED,
    )  # fmt: skip


def _draw_key(ax: Axes) -> None:
    """Which colour is which gap, below the bins."""
    tasks, num_bins = ax.get_ylim()[0], ax.get_xlim()[1]
    steps = np.linspace(-_FULL, _FULL, 11)
    width, y = num_bins / len(steps), tasks + 32 / ROW
    for i, gap in enumerate(steps):
        _patch(ax, (i + 0.5) * width, y, (width, 9 / ROW), float(gap)).set_clip_on(False)
    labels = ((0, "accuracy\nhigher by .5", "left"), (0.5, "0", "center"))
    for x, text, where in (*labels, (1, "confidence\nhigher by .5", "right")):
        ax.annotate(
            text, (x, y + 9 / ROW), xycoords=("axes fraction", "data"), ha=where, va="top",
            fontsize=theme.SMALL, color=theme.MUTED, annotation_clip=False, linespacing=1.1,
        )  # fmt: skip
