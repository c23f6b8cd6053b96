"""Reliability diagrams with matplotlib (the `plots` extra)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from lm_eval_calibration.given import Beliefs, as_predictions
from lm_eval_calibration.metrics.binned import NUM_BINS
from lm_eval_calibration.metrics.evaluate import Estimate, estimate
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report import figures, reliability, theme, wording
from lm_eval_calibration.texts import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP = 24  # px between diagrams
NOTE_BELOW, NOTE_HEIGHT = 90, 34  # px from the main panel, and of the note
_LINE, _LINE_HEIGHT = 52, 14  # characters of a title's line, and px


def reliability_diagram(
    predictions: Beliefs,
    ax: Axes | None = None,
    *,
    truth: ArrayLike | None = None,
    scale: str | None = None,
    title: str | None = None,
    num_bins: int = NUM_BINS,
) -> Axes:
    """Draw accuracy against confidence, with what a calibrated model would show.

    Bars: accuracy in each confidence bin. Stems: the gap to the bin's mean confidence (the
    diagonal is perfection). Grey: where a perfectly calibrated model's bars would end in
    95 of 100 runs with these confidences; bars that end inside are no evidence of
    miscalibration. Curve: accuracy without bins, see `smoothing.smooth_accuracy`. Strip at the
    bottom: how many documents each bin holds. Above: the finding in words, never more than the
    ECE's null band bears out. Below: what the marks are.

    Args:
        predictions: N documents; or their beliefs, as `evaluate` takes them.
        ax: where to draw; a new figure by default.
        truth: what was true, where they are no `Predictions`.
        scale: of options' numbers, likewise.
        title: shown above, followed by the ECE with its interval and null band.
        num_bins: equal-width bins.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    predictions = as_predictions(predictions, truth, scale=scale)
    if ax is None:
        ax = _new_axes()
    prepared = reliability.prepare(predictions, num_bins)
    with theme.style():
        reliability.draw(ax, prepared)
        ax.set_aspect("equal")
        ax.annotate(
            reliability.NOTE, (0, 0), (-30, -NOTE_BELOW), xycoords="axes fraction",
            textcoords="offset points", fontsize=8, color=theme.MUTED, va="top", linespacing=1.25,
            annotation_clip=False,
        )  # fmt: skip
        lines = _caption(predictions, num_bins)
        ax.set_title(
            "\n".join([title, *lines] if title else lines), fontsize=theme.FONT, loc="left",
            pad=36, linespacing=1.3,
        )  # fmt: skip
    return ax


def save_diagrams(
    runs: Mapping[str, Predictions], path: str | Path, *, overwrite: bool = False
) -> Path:
    """Draw one diagram per task into one image file, whose suffix sets the format.

    Args:
        runs: predictions by task name.
        path: e.g. `reliability.png`, `.svg` or `.pdf`; its folder is made.
        overwrite: whether a file that is no figure of ours may be replaced.

    Raises:
        InvalidInputError: another suffix.
        OutputError: something else stands there, or the place cannot be written to.
    """
    columns = min(len(runs), 3) if len(runs) != 4 else 2
    rows = -(-len(runs) // columns)
    titles = [textwrap.fill(printable(name), _LINE) for name in runs]
    head = figures.TITLE + _LINE_HEIGHT * max(title.count("\n") for title in titles)
    width, height = theme.WIDTH + _GAP, theme.HEIGHT + head + NOTE_HEIGHT
    with theme.style():
        figure = theme.canvas(width * columns - _GAP, height * rows)
        for i, (title, predictions) in enumerate(zip(titles, runs.values(), strict=True)):
            row, column = divmod(i, columns)
            ax = theme.place(
                figure, theme.LEFT + column * width, theme.TOP + head + row * height,
                theme.SIDE, theme.SIDE,
            )  # fmt: skip
            reliability_diagram(predictions, ax, title=title)
        target = Path(path)
        label = f"Reliability diagrams of {', '.join(runs)}."
        figures.save(figure, target, label, overwrite=overwrite)
    return target


def _new_axes() -> Axes:
    """Axes in a new figure of the caller's own backend, with room for title and strip."""
    new = theme.matplotlib("pyplot").figure
    height = theme.HEIGHT + figures.TITLE + NOTE_HEIGHT
    with theme.style():
        figure = new(figsize=(theme.WIDTH / 72, height / 72), facecolor="white")
        return theme.place(figure, theme.LEFT, theme.TOP + figures.TITLE, theme.SIDE, theme.SIDE)


def _caption(predictions: Predictions, num_bins: int) -> list[str]:
    found: dict[str, Estimate] = {
        "acc": estimate(bind("acc"), predictions),
        "ece": estimate(bind("ece", {"num_bins": num_bins}), predictions),
    }
    headline = wording.finding(predictions, found).headline
    ece, _, null = wording.valued("ECE", found["ece"]).partition("; ")
    return [
        f"{headline}.",
        f"{ece}, {len(predictions):,} documents",
        *([f"({null})"] if null else []),
    ]
