"""Trends: each metric over runs in order, such as the checkpoints of one training run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.report import figures, theme, wording
from lm_eval_calibration.texts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Series = Mapping[str, Sequence[Mapping[str, Estimate]]]
NAME = "Trend"
_BLOCKS, _COLUMNS = 8, 4
_WIDTH, _HEIGHT = 184, 120  # px of a panel
_PITCH_X, _PITCH_Y = 236, 158  # px from one panel to the next
_LEFT, _TOP, _HEADING = 46, 56, 16
_LONGEST = 22  # characters of a label
_ARROWS = {True: " ↑", False: " ↓", None: ""}


@dataclass(frozen=True)
class Trend:
    """M metrics of S tasks or groups in R runs; NaN where something is not known.

    Attributes:
        scopes: (S,) names of tasks and groups.
        metrics: (M,) names.
        labels: (R,) of the runs, in order.
        value, low, high: (S, M, R) estimates and their 95 % intervals.
        null_low, null_high: (S, M, R) what calibrated models would score.
    """

    scopes: tuple[str, ...]
    metrics: tuple[str, ...]
    labels: tuple[str, ...]
    value: Floats
    low: Floats
    high: Floats
    null_low: Floats
    null_high: Floats


def prepare(series: Series, labels: Sequence[str]) -> Trend:
    """Put the estimates into arrays.

    Raises:
        InvalidInputError: nothing to draw, or a task without one set of estimates per label.
    """
    for scope, estimates in series.items():
        if len(estimates) != len(labels):
            expected = f"one set of estimates for each of the {len(labels)} labels"
            raise invalid("series", expected, f"{len(estimates)} for `{scope}`")
    metrics = tuple(dict.fromkeys(m for runs in series.values() for run in runs for m in run))
    if not metrics:
        raise invalid("series", "at least one estimate", "none")
    shape = (len(series), len(metrics), len(labels))
    parts = np.full((5, *shape), np.nan)
    for s, runs in enumerate(series.values()):
        for r, run in enumerate(runs):
            for m, name in enumerate(metrics):
                if name in run:
                    parts[:, s, m, r] = _numbers(run[name])
    scopes = tuple(map(printable, series))
    return Trend(scopes, metrics, tuple(map(printable, labels)), *parts)


def _numbers(e: Estimate) -> tuple[float, ...]:
    null = (e.null.low, e.null.high) if e.null else (math.nan, math.nan)
    numbers = (e.value, e.low, e.high, *null)
    return tuple(n if math.isfinite(n) else math.nan for n in numbers)


def draw(ax: Axes, t: Trend, scope: int, metric: int) -> None:
    """One panel: value and interval of each run in order, the null band as a ribbon."""
    _frame(ax, t, metric)
    x = np.arange(len(t.labels))
    value, low, high = (part[scope, metric] for part in (t.value, t.low, t.high))
    band = t.null_low[scope, metric], t.null_high[scope, metric]
    if len(x) == 1:
        ax.vlines(x, *band, color=theme.BAND, alpha=0.5, linewidth=12)
    ax.fill_between(x, *band, color=theme.BAND, alpha=0.45, linewidth=0)
    ax.vlines(x, low, high, color=theme.BLUE, linewidth=1.4)
    ax.plot(x, value, "o-", color=theme.BLUE, linewidth=1.7, markersize=4)


def draw_together(ax: Axes, t: Trend, metric: int) -> None:
    """One panel for many tasks: a thin line each, and their median."""
    _frame(ax, t, metric)
    x = np.arange(len(t.labels))
    for values in t.value[:, metric]:
        ax.plot(x, values, color=theme.BLUE, linewidth=0.8, alpha=0.35)
    known = ~np.isnan(t.value[:, metric]).all(axis=0)
    median = np.nanmedian(t.value[:, metric][:, known], axis=0)
    ax.plot(x[known], median, "o-", color=theme.INK, linewidth=2, markersize=4)


def _frame(ax: Axes, t: Trend, metric: int) -> None:
    theme.dress(ax)
    name = t.metrics[metric]
    ax.set_xlim(-0.3, max(len(t.labels) - 0.7, 0.7))
    ax.margins(y=0.12)
    ax.set_title(
        name + _ARROWS[bind(name).higher_is_better], loc="left", fontsize=theme.FONT, pad=5
    )
    ax.set_xticks(range(len(t.labels)), [""] * len(t.labels))
    ax.grid(axis="y", color=theme.RULE, linewidth=0.6)
    ax.yaxis.set_major_locator(theme.matplotlib("ticker").MaxNLocator(4))


def save_trend(
    series: Series,
    labels: Sequence[str],
    path: str | Path,
    *,
    title: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Draw every metric over the runs into one image file, whose suffix sets the format.

    Up to 8 tasks and groups have a block of panels each, with intervals and null bands; more of
    them share one block, as thin lines around their median.

    Args:
        series: by task or group, the estimates by metric of each run, in the order of `labels`.
        labels: of the R runs, in order.
        path: e.g. `trend.png`, `.svg` or `.pdf`; its folder is made.
        title: at the top; by default it says how many runs are shown.
        overwrite: whether a file that is no figure of ours may be replaced.

    Raises:
        InvalidInputError: nothing to draw, numbers of runs that differ, or another suffix.
        OutputError: something else stands there, or the place cannot be written to.
        MissingExtraError: matplotlib is not installed.
    """
    t = prepare(series, labels)
    together = len(t.scopes) > _BLOCKS
    heading = title or f"{len(t.metrics)} metrics over {len(t.labels)} runs"
    text = _explanation(t, together)
    with theme.style():
        figure = _draw_all(t, together)
        figures.head(figure, heading, text)
        figures.save(figure, Path(path), f"{heading}. {text}", overwrite=overwrite)
    return Path(path)


def _draw_all(t: Trend, together: bool) -> Figure:
    """One block of panels for each task, or one for all."""
    blocks = [f"{len(t.scopes)} tasks and groups"] if together else list(t.scopes)
    columns = min(len(t.metrics), _COLUMNS)
    rows = -(-len(t.metrics) // columns)
    labels = shortened(t.labels)
    foot = 14 + 3 * max(map(len, labels))  # the labels are slanted
    block = _HEADING + rows * _PITCH_Y + foot
    figure = theme.canvas(
        max(_LEFT + columns * _PITCH_X - 40, theme.WIDTH), _TOP + len(blocks) * block
    )
    for b, name in enumerate(blocks):
        top = _TOP + b * block
        _write(figure, 8, top, name)
        for m in range(len(t.metrics)):
            row, column = divmod(m, columns)
            y = top + _HEADING + 22 + row * _PITCH_Y
            ax = theme.place(figure, _LEFT + column * _PITCH_X, y, _WIDTH, _HEIGHT)
            if together:
                draw_together(ax, t, m)
            else:
                draw(ax, t, b, m)
            if m + columns >= len(t.metrics):
                label_runs(ax, labels)
    return figure


def shortened(labels: Sequence[str]) -> list[str]:
    """Labels of runs without the words that all begin with.

    >>> shortened(["model-step-100", "model-step-2000"])
    ['100', '2000']
    """
    shared = wording.common_start(labels, "-_/. ")
    own = [label.removeprefix(shared) for label in labels]
    return [label if len(label) <= _LONGEST else f"…{label[1 - _LONGEST :]}" for label in own]


def label_runs(ax: Axes, labels: Sequence[str]) -> None:
    """Write the runs' names below a panel, slanted."""
    ax.set_xticks(
        range(len(labels)), labels, rotation=35, ha="right", rotation_mode="anchor",
        fontsize=theme.SMALL,
    )  # fmt: skip


def _write(figure: Figure, left: float, top: float, text: str) -> None:
    width, height = figure.get_size_inches() * 72
    figure.text(left / width, 1 - top / height, text, fontsize=11, fontweight="bold", va="top")


def _explanation(t: Trend, together: bool) -> str:
    if together:
        return "Thin lines: tasks and groups. Thick line: their median."
    return "Whiskers: 95 % interval. Grey: what a perfectly calibrated model would score."
