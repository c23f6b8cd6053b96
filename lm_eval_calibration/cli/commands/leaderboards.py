"""`lm-calib leaderboard`: many runs at a time."""

from __future__ import annotations

from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.commands.root import app


@app.command()
def leaderboard(
    runs: options.Runs,
    metrics: options.Metrics = None,
    by: Annotated[
        str | None, typer.Option(metavar="METRIC", help="The metric that ranks; else the first.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option(help="Comma-separated tasks that count; else all that every run has."),
    ] = None,
    pooled: Annotated[
        bool, typer.Option("--pooled", help="Figures of all documents together, no means of tasks.")
    ] = False,
    require_all: Annotated[
        bool, typer.Option("--require-all", help="Refuse runs that lack a task or a document.")
    ] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    replicates: options.Replicates = 1000,
    confidence: options.Confidence = None,
    correct: options.Correct = None,
    model: options.ModelColumn = None,
    task: options.TaskColumn = None,
    where: options.Where = None,
) -> None:
    """Rank models on the tasks and documents that all have: means, ranks and places, with intervals."""
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.leaderboard import rank_runs, render
    from lm_eval_calibration.cli.source import load, say

    how, names = choose(as_json, as_csv, as_markdown), options.names(metrics)
    chosen = None if tasks is None else [t.strip() for t in tasks.split(",") if t.strip()]
    table = options.table(confidence, correct, model, task, where)
    read = load(runs, skip_bad, table, filter_name=filter_name)
    board = rank_runs(
        read, names, by, chosen, pooled=pooled, require_all=require_all, replicates=replicates
    )
    say([f"{note}." for note in board.notes])
    print_text(render(board, how))
