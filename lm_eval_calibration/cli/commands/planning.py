"""`lm-calib size`, `cost` and `noise`: what to run before it is run, and how much of what was seen is arithmetic."""

from __future__ import annotations

from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table, takes_tables
from lm_eval_calibration.cli.commands.root import app


@app.command()
@takes_tables()
def size(
    like: Annotated[
        list[str],
        typer.Option(
            metavar="RUN",
            help="Run on such documents; given twice, two such models on the same documents.",
        ),
    ],
    metric: Annotated[str, typer.Option(help="In which models are to be compared.")],
    effect: Annotated[float, typer.Option(help="The difference that is to be seen.")],
    power: Annotated[float, typer.Option(help="How often it is to be seen.")] = 0.8,
    correlation: Annotated[
        float,
        typer.Option(help="Of one run: how alike another model's values would be, from -1 to 1."),
    ] = 0.5,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    cluster: options.Cluster = "auto",
    replicates: options.Replicates = 1000,
    table: Table = NO_TABLE,
) -> None:
    """Say how many documents it takes to see that two models differ, by drawing from a run."""
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.size import find, render
    from lm_eval_calibration.cli.source import load

    how = choose(as_json, as_csv, as_markdown)
    one_each = len(like) > 1
    read = load(like, skip_bad, table, one_each=one_each, filter_name=filter_name, cluster=cluster)
    found = find(read, metric, effect, power, correlation, replicates)
    print_text(render(found, len(read) > 1, how))


@app.command()
def cost(
    runs: options.Runs,
    price: Annotated[
        str | None,
        typer.Option(
            metavar="IN,OUT",
            help="What a million tokens of prompts and of replies cost, e.g. 0.15,0.60.",
            show_default=False,
        ),
    ] = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
) -> None:
    """Say what runs took, and what all documents of their tasks would: try it after --limit 20."""
    from lm_eval_calibration.cli.cost import accounts_of, price_of, render
    from lm_eval_calibration.cli.formats import choose, print_text

    how, paid = choose(as_json, as_csv, as_markdown), price_of(price)
    print_text(render(accounts_of(runs, paid, skip_bad), how))


@app.command()
@takes_tables()
def noise(
    runs: options.Runs,
    metrics: options.Metrics = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    replicates: options.Replicates = 1000,
    table: Table = NO_TABLE,
) -> None:
    """Say how far two runs of one model are apart (batch size, dtype, machine), and what that does to each metric."""
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.noise import find, render
    from lm_eval_calibration.cli.source import load

    how = choose(as_json, as_csv, as_markdown)
    read = load(runs, skip_bad, table, one_each=True, filter_name=filter_name)
    found = find(read, options.names(metrics), replicates)
    print_text(render(found, how))
    if found.word.startswith("BROKEN"):
        raise typer.Exit(1)
