"""`lm-calib score` of many tasks: a row each, with the figures that people compare."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_calibration.analysis import Scored
from lm_eval_calibration.cli import overview
from lm_eval_calibration.cli.formats import OutputFormat, number, titled
from lm_eval_calibration.logs import Run, scopes
from lm_eval_calibration.metrics.catalogue import SUMMARY_METRICS
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.metrics.table import bind

ROOM_FOR = 8
"""Columns for which there is room."""
HOW = (
    "One row a task. --all prints every metric with its interval and null band, as --json and --csv do; "
    "--metrics chooses the columns."
)
POOLED = "Groups stand first: their documents pooled. --all also has the means of their tasks."


def columns(
    runs: Sequence[Run], metrics: Sequence[str] | None, how: OutputFormat, everything: bool
) -> Sequence[str] | None:
    """The overview's columns; `None` where each task has a table of its own.

    Args:
        runs: that were read.
        metrics: those asked for, if any were.
        how: the figures are printed.
        everything: whether all figures were asked for, however many.
    """
    count = sum(len(list(scopes(run))) for run in runs)
    chosen = metrics or SUMMARY_METRICS
    return (
        chosen if not everything and overview.is_wanted(count, how, len(chosen), ROOM_FOR) else None
    )


def render(
    scored: Sequence[Scored], metrics: Sequence[str], outside: str, how: OutputFormat
) -> str | None:
    """The overview in `how`, as text; `None` for the terminal, where it is printed.

    Args:
        scored: every group and task of the runs.
        metrics: the columns.
        outside: what the mark of a figure means.
        how: the terminal or Markdown.
    """
    runs = list(dict.fromkeys(s.scope.run for s in scored))
    parts = [_part(run, [s for s in scored if s.scope.run == run], metrics) for run in runs]
    header = ["task", "documents", *map(titled, metrics)]
    legend = []
    if any(_is_marked(e) for s in scored for e in s.estimates.values()):
        legend.append(f"* {outside}")
    if any(s.scope.pooled for s in scored):
        legend.append(POOLED)
    legend.append(HOW)
    if len(runs) > 1:
        legend.append(overview.LEADERBOARD)
    return overview.render(parts, header, legend, how)


def _part(run: str, scored: Sequence[Scored], metrics: Sequence[str]) -> overview.Part:
    tasks = [s for s in scored if not s.scope.pooled]
    documents = sum(len(s.scope.predictions) for s in tasks)
    title = f"{run + ', ' if run else ''}{len(tasks)} tasks, {documents:,} documents"
    groups = [s for s in scored if s.scope.pooled]
    return overview.Part(title, [_row(s, metrics) for s in (*groups, *tasks)])


def _row(s: Scored, metrics: Sequence[str]) -> list[str]:
    cells = [_cell(s.estimates.get(name)) for name in metrics]
    return [overview.named(s.scope), f"{len(s.scope.predictions):,}", *cells]


def _cell(e: Estimate | None) -> str:
    if e is None:
        return "-"
    return f"{'* ' if _is_marked(e) else ''}{number(e.value)}"


def _is_marked(e: Estimate) -> bool:
    """Whether a calibration error is more, or less, than luck."""
    return bind(e.name).metric.calibration_error and is_outside(e)


def is_outside(e: Estimate) -> bool:
    """Whether the value lies outside what a calibrated model would score."""
    return e.null is not None and (e.value < e.null.low or e.value > e.null.high)
