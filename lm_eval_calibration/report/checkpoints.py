"""The checkpoints of a training as one HTML page: trends, and each against the one before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_calibration.analysis.comparison import Comparison
from lm_eval_calibration.files import PAGE, check_file
from lm_eval_calibration.logs.run import Run
from lm_eval_calibration.metrics.catalogue import ARROWS
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.metrics.paired import ALPHA
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.report import pages, theme, trend
from lm_eval_calibration.report.figures import Artist, DrawnFigure
from lm_eval_calibration.report.wording import p_value

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Series = Mapping[str, Sequence[Mapping[str, Estimate]]]


@dataclass(frozen=True)
class Step:
    """A figure against another checkpoint's: the difference, its interval, and whether it is one."""

    text: str
    interval: str
    p: str
    sure: bool


@dataclass(frozen=True)
class CheckpointRow:
    """A checkpoint's figure of one metric, against the one before it and against the first."""

    label: str
    value: str
    ends: str
    before: Step | None
    first: Step | None


@dataclass(frozen=True)
class CheckpointTable:
    """All checkpoints' figures of one metric."""

    metric: str
    arrow: str
    meaning: str
    rows: list[CheckpointRow]


@dataclass(frozen=True)
class CheckpointSection:
    """A task's or a group's."""

    name: str
    documents: int
    figures: list[DrawnFigure]
    tables: list[CheckpointTable]


def write_checkpoints(
    runs: Sequence[Run],
    series: Series,
    documents: Mapping[str, int],
    before: Sequence[Sequence[Comparison]],
    first: Sequence[Sequence[Comparison]],
    path: str | Path,
    *,
    title: str,
    overwrite: bool = False,
) -> Path:
    """Write one self-contained page.

    Args:
        runs: matched, in order.
        series: by task or group each run's estimates.
        documents: how many each has.
        before: of each run but the first its comparisons with the one before it, by task.
        first: likewise with the first.
        path: of the page; its folder is made.
        title: what was trained.
        overwrite: whether a file that is no report may be replaced.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        OutputError: something else stands at `path`, or it cannot be written to.
    """
    check_file(path, PAGE, overwrite=overwrite)
    template, artist = pages.template("checkpoints.html"), Artist(None)
    labels = [run.label for run in runs]
    drawn = trend.prepare(series, labels)
    sections = []
    for number, name in enumerate(series):
        sections.append(
            CheckpointSection(
                name or "all documents",
                documents[name],
                [_panel(artist, drawn, number, m) for m in range(len(drawn.metrics))],
                [_table(labels, series[name], m, number, before, first) for m in drawn.metrics],
            )
        )
    fields = {"title": title, "labels": labels, "sections": sections}
    return pages.write(Path(path), template, fields, runs, overwrite=overwrite)


def _panel(artist: Artist, drawn: trend.Trend, scope: int, metric: int) -> DrawnFigure:
    def draw(top: float) -> Figure:
        below = 14 + 3 * max(map(len, trend.shortened(drawn.labels)))
        figure = theme.canvas(theme.WIDTH, 200 + below + top)
        ax = theme.place(figure, theme.LEFT, 30 + top, theme.WIDTH - theme.LEFT - 16, 160)
        trend.draw(ax, drawn, scope, metric)
        trend.label_runs(ax, trend.shortened(drawn.labels))
        return figure

    name = drawn.metrics[metric]
    values = ", ".join(
        f"{label} {v:.3f}"
        for label, v in zip(drawn.labels, drawn.value[scope, metric], strict=True)
    )
    about = DrawnFigure("Trend", drawn.scopes[scope], f"{name}: {values}", "")
    return artist.figure(f"{scope} {name} trend", about, draw)


def _table(
    labels: Sequence[str],
    estimates: Sequence[Mapping[str, Estimate]],
    metric: str,
    scope: int,
    before: Sequence[Sequence[Comparison]],
    first: Sequence[Sequence[Comparison]],
) -> CheckpointTable:
    rows = []
    for i, label in enumerate(labels):
        found = estimates[i].get(metric)
        against = [
            _step(compared[i - 1][scope], metric) if i else None for compared in (before, first)
        ]
        value = "-" if found is None else f"{found.value:.4f}"
        ends = "" if found is None else f"{found.low:.4f} to {found.high:.4f}"
        rows.append(CheckpointRow(label, value, ends, against[0], against[1] if i > 1 else None))
    bound = bind(metric)
    return CheckpointTable(metric, ARROWS[bound.higher_is_better], bound.metric.meaning, rows)


def _step(compared: Comparison, metric: str) -> Step | None:
    difference = compared.differences.get(metric)
    if difference is None:
        return None
    adjusted = compared.adjusted[metric]
    text, ends = f"{difference.difference:+.4f}", f"{difference.low:+.4f} to {difference.high:+.4f}"
    return Step(text, ends, p_value(adjusted), adjusted < ALPHA)
