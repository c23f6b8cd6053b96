"""`lm-calib card`: figures in the shapes that other places publish them in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table, takes_tables
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import say_where


@app.command()
@takes_tables()
def card(
    runs: options.Runs,
    add: Annotated[
        Path | None,
        typer.Option(
            metavar="README.md",
            help="Put the block into this model card, of which all else stays as it is.",
            show_default=False,
        ),
    ] = None,
    metrics: options.Metrics = None,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    cluster: options.Cluster = "auto",
    replicates: options.Replicates = 1000,
    table: Table = NO_TABLE,
) -> None:
    """Print the `model-index` block of a hub model card, with intervals; of one model's run."""
    from lm_eval_calibration.cli.card import block, into
    from lm_eval_calibration.cli.source import load, say

    names = options.names(metrics)
    found = block(
        load(runs, skip_bad, table, filter_name=filter_name, cluster=cluster), names, replicates
    )
    say([f"not in the card: {text}." for text in found.left_out])
    if add is None:
        typer.echo(found.text, nl=False)
    else:
        into(add, found)
        say_where(add)
