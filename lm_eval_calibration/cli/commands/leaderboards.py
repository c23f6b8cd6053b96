"""`lm-calib leaderboard`: many runs at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table, takes_tables
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import Overwrite, say_where
from lm_eval_calibration.errors import invalid


@app.command()
@takes_tables()
def leaderboard(
    runs: options.Runs,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Also write a page, e.g. leaderboard.html.", show_default=False
        ),
    ] = None,
    every_eval_ever: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Also write a record of each model in the schema of Every Eval Ever.",
            show_default=False,
        ),
    ] = None,
    organization: Annotated[
        str, typer.Option(help="Of those records: who provides the figures.")
    ] = "unknown",
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
    cluster: options.Cluster = "auto",
    replicates: options.Replicates = 1000,
    table: Table = NO_TABLE,
    overwrite: Overwrite = False,
) -> None:
    """Rank models on the tasks and documents that all have: means, ranks and places, with intervals."""
    from lm_eval_calibration.cli.formats import OutputFormat, choose, print_text
    from lm_eval_calibration.cli.leaderboard import check, rank_runs, records, render, write
    from lm_eval_calibration.cli.source import load, say

    check(output, every_eval_ever, overwrite)
    how, names = choose(as_json, as_csv, as_markdown), options.names(metrics)
    chosen = None if tasks is None else [t.strip() for t in tasks.split(",") if t.strip()]
    if chosen == []:
        raise invalid("--tasks", "names of tasks, separated by commas", "none")
    read = load(runs, skip_bad, table, filter_name=filter_name, cluster=cluster)
    board = rank_runs(
        read, names, by, chosen, pooled=pooled, require_all=require_all, replicates=replicates
    )
    say([f"{note}." for note in board.notes])
    # Files first: whoever reads the table may close the pipe.
    if output is not None:
        write(board, read, output, overwrite)
    if every_eval_ever is not None:
        say(records(board, read, every_eval_ever, organization, replicates))
    print_text(render(board, how))
    for place in (output, every_eval_ever):
        if place is not None:
            say_where(place, err=how is not OutputFormat.TABLE)
