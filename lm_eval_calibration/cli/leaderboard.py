"""`lm-calib leaderboard`: many models on the same tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from lm_eval_calibration.analysis.leaderboard import (
    Figure,
    Leaderboard,
    Standing,
    leaderboard,
)
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    interval,
    markdown_table,
    number,
    terminal_table,
    titled,
)
from lm_eval_calibration.cli.outputs import check_page
from lm_eval_calibration.cli.progress import working
from lm_eval_calibration.errors import OutputError
from lm_eval_calibration.logs import Run
from lm_eval_calibration.logs.workers import processes
from lm_eval_calibration.metrics.catalogue import SUMMARY_METRICS
from lm_eval_calibration.metrics.evaluate import applicable

SLOW = 5_000_000
"""Documents times replicates from which ranking takes more than a few seconds."""
SLOW_MODELS = 8
"""Drawing so many takes more than a few seconds."""
LEGEND = (
    "place: shared by neighbours that cannot be told apart (paired bootstrap, Holm over neighbours). rank: "
    "with its 95 % interval. \u00b1: half of a figure's 95 % interval; --markdown, --csv and --json have both "
    "ends."
)


def rank_runs(
    runs: Sequence[Run],
    metrics: Sequence[str] | None,
    by: str | None,
    tasks: Sequence[str] | None,
    *,
    pooled: bool,
    require_all: bool,
    replicates: int,
) -> Leaderboard:
    """The leaderboard, with a progress bar if there is much to draw."""
    documents = sum(len(s) for run in runs for s in run.samples.values())
    steps = len({task for run in runs for task in run.samples})
    with working("ranking", steps, documents * replicates > SLOW) as progress:
        return leaderboard(
            runs,
            metrics or _defaults(runs),
            by=by,
            tasks=tasks,
            pooled=pooled,
            require_all=require_all,
            replicates=replicates,
            processes=processes(),
            progress=progress,
        )


def _defaults(runs: Sequence[Run]) -> list[str]:
    """The metrics that are shown if none is asked for: those that all runs' beliefs allow."""
    every = [s.predictions for run in runs for s in run.samples.values()]
    scores = [p for p in every if p.are_scores] or [p for p in every if p.options is None]
    listed = (*SUMMARY_METRICS, "aurc") if scores and scores[0].are_scores else SUMMARY_METRICS
    return applicable(scores[0], listed) if scores else list(listed)


def check(output: Path | None, records: Path | None, overwrite: bool) -> None:
    """Make sure that a page, and a folder of records, can be written.

    Raises:
        MissingExtraError: jinja2 is not installed.
        OutputError: something else stands there, or the place cannot be written to.
    """
    from lm_eval_calibration.report.pages import template

    if output is not None:
        check_page(output, overwrite=overwrite)
        template("leaderboard.html")
    if records is not None and records.exists() and not records.is_dir():
        raise OutputError(f"`{records}` is no folder: name one for --every-eval-ever.")


def write(board: Leaderboard, runs: Sequence[Run], output: Path, overwrite: bool) -> None:
    """Write the page."""
    from lm_eval_calibration.report.leaderboard.page import write_leaderboard

    models = len(board.standings)
    with working("drawing", models, models > SLOW_MODELS) as progress:
        write_leaderboard(
            board, runs, output, title=title(board), progress=progress, overwrite=overwrite
        )


def records(
    board: Leaderboard, runs: Sequence[Run], folder: Path, organization: str, replicates: int
) -> list[str]:
    """Write a record of each model, and tell what was left out."""
    from lm_eval_calibration.exports.every_eval_ever import write_records

    _, left_out = write_records(
        board, runs, folder, organization=organization, replicates=replicates
    )
    return [f"not in the records: {text}." for text in left_out]


def render(board: Leaderboard, how: OutputFormat) -> str | None:
    """The models in `how`, as text; `None` for the terminal, where they are printed."""
    return in_format(
        how,
        told=lambda: {"leaderboard": _as_json(board)},
        rows=lambda: [row for s in board.standings for row in _flat(board, s)],
        markdown=lambda: _markdown(board),
        items=lambda: [title(board), _table(board), "", LEGEND],
    )


def _markdown(board: Leaderboard) -> str:
    header = ["model", "place", "rank", *(titled(name) for name in board.metrics)]
    rows = [_cells(board, standing, both_ends=True) for standing in board.standings]
    return f"**{title(board)}**\n\n{markdown_table(header, rows, texts=1)}"


def title(board: Leaderboard) -> str:
    """What the figures are of."""
    documents = f"{sum(board.tasks.values()):,} documents"
    many = len(board.tasks)
    over = "pooled" if board.pooled else f"mean of {many} tasks, each of the same weight"
    one = over if many > 1 else next(iter(board.tasks)) or "one task"
    return f"{len(board.standings)} models, {one}, {documents}; ranked by {board.by}"


def _table(board: Leaderboard) -> Table:
    header = ("place", "model", "rank", *map(titled, board.metrics))
    cells = [_cells(board, standing, both_ends=False) for standing in board.standings]
    return terminal_table(header, [(c[1], c[0], *c[2:]) for c in cells], texts=(1,))


def _cells(board: Leaderboard, s: Standing, both_ends: bool) -> list[str]:
    rank = f"{s.rank.value} [{s.rank.low}, {s.rank.high}]"
    figures = [_cell(s.figures[name], both_ends) for name in board.metrics]
    return [s.model, str(s.place), rank, *figures]


def _cell(figure: Figure, both_ends: bool) -> str:
    if both_ends:
        return f"{number(figure.value)} {interval(figure.low, figure.high)}"
    half = (figure.high - figure.low) / 2
    return f"{number(figure.value, 3)} \u00b1{number(half, 3)}"


def _as_json(board: Leaderboard) -> dict[str, Any]:
    return {
        "metrics": list(board.metrics),
        "by": board.by,
        "pooled": board.pooled,
        "tasks": dict(board.tasks),
        "counted": {name: list(tasks) for name, tasks in board.counted.items()},
        "notes": list(board.notes),
        "models": [
            {
                "model": s.model,
                "place": s.place,
                "rank": {"value": s.rank.value, "low": s.rank.low, "high": s.rank.high},
                "metrics": _figures(s.figures),
                "tasks": {name: _figures(figures) for name, figures in s.tasks.items()},
            }
            for s in board.standings
        ],
    }


def _figures(figures: Mapping[str, Figure]) -> dict[str, dict[str, float]]:
    return {name: {"value": f.value, "low": f.low, "high": f.high} for name, f in figures.items()}


def _flat(board: Leaderboard, s: Standing) -> Iterator[dict[str, Any]]:
    for name, figure in s.figures.items():
        yield {
            "model": s.model,
            "place": s.place,
            "rank": s.rank.value,
            "rank_low": s.rank.low,
            "rank_high": s.rank.high,
            "metric": name,
            "value": figure.value,
            "low": figure.low,
            "high": figure.high,
            "tasks": len(board.counted[name]),
        }
