"""`lm-calib compare` of many tasks: a row each, with the differences that people ask for."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_calibration.analysis.comparison import Comparison
from lm_eval_calibration.cli import overview
from lm_eval_calibration.cli.formats import OutputFormat, number, titled
from lm_eval_calibration.logs import Run, scopes
from lm_eval_calibration.metrics.paired import ALPHA, Difference, holm
from lm_eval_calibration.report.wording import p_value

COMPARED_BY = ("acc", "ece")
"""Those compared, unless others are asked for."""
ROOM_FOR = 3
"""Metrics for which there is room."""
DIGITS = 3
LEGEND = (
    "X against Y: X is the second, Y the first. Of each metric: second less first, with the 95 % interval of the "
    "paired bootstrap over documents, and p (of acc McNemar's exact test). * p below 0.05 even when "
    "adjusted (Holm) over all that are printed."
)
HOW = (
    "One row a task. --json and --csv have both values of more metrics and p (Holm) for each task; "
    "--metrics chooses, and of more than three prints a table a task."
)
POOLED = "Groups stand first: their documents pooled."


def columns(
    runs: Sequence[Run], metrics: Sequence[str] | None, how: OutputFormat
) -> Sequence[str] | None:
    """The overview's metrics; `None` where each task has a table of its own."""
    count = len(list(scopes(runs[0]))) * (len(runs) - 1)
    chosen = metrics or COMPARED_BY
    return chosen if overview.is_wanted(count, how, len(chosen), ROOM_FOR) else None


def render(compared: Sequence[Comparison], metrics: Sequence[str], how: OutputFormat) -> str | None:
    """The overview in `how`, as text; `None` for the terminal, where it is printed."""
    sure = _beyond_luck(compared)
    runs = list(dict.fromkeys(c.second.run for c in compared))
    parts = [_part([c for c in compared if c.second.run == run], metrics, sure) for run in runs]
    header = ["task", *(cell for name in metrics for cell in (titled(name), "p"))]
    legend = [LEGEND, HOW]
    if any(c.first.pooled for c in compared):
        legend.insert(1, POOLED)
    if len(runs) > 1:
        legend.append(overview.LEADERBOARD)
    return overview.render(parts, header, legend, how)


def _beyond_luck(compared: Sequence[Comparison]) -> set[int]:
    """The differences whose p-value is small even as one of so many, by `id`."""
    differences = [d for c in compared for d in c.differences.values()]
    adjusted = holm([d.p_value for d in differences])
    return {id(d) for d, p in zip(differences, adjusted, strict=True) if p < ALPHA}


def _part(compared: Sequence[Comparison], metrics: Sequence[str], sure: set[int]) -> overview.Part:
    first = compared[0]
    tasks = [c for c in compared if not c.first.pooled]
    documents = sum(len(c.first.predictions) for c in tasks)
    title = f"{first.second.run} against {first.first.run} · {len(tasks)} tasks, {documents:,} documents"
    ordered = [*(c for c in compared if c.first.pooled), *tasks]
    rows = [
        [
            overview.named(c.first),
            *(cell for name in metrics for cell in _cells(c.differences.get(name), sure)),
        ]
        for c in ordered
    ]
    return overview.Part(title, rows)


def _cells(d: Difference | None, sure: set[int]) -> tuple[str, str]:
    if d is None:
        return "-", "-"
    sign = "+" if d.difference > 0 else ""
    ends = f"[{number(d.low, DIGITS)}, {number(d.high, DIGITS)}]"
    mark = "* " if id(d) in sure else ""
    return f"{sign}{number(d.difference, DIGITS)} {ends}", f"{mark}{p_value(d.p_value)}"
