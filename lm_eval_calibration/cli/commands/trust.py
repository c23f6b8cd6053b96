"""`lm-calib thresholds`, `ood`, `pools`: whether a belief may be acted on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table, takes_tables
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import Overwrite
from lm_eval_calibration.files import JSON_LINES, check_file


@app.command()
@takes_tables()
def ood(
    inside: Annotated[str, typer.Option("--in", metavar="RUN", help="Run on familiar documents.")],
    outside: Annotated[
        str, typer.Option("--out", metavar="RUN", help="Run on unfamiliar ones, of the same model.")
    ],
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    replicates: options.Replicates = 1000,
    table: Table = NO_TABLE,
) -> None:
    """Tell unfamiliar documents from familiar ones by a model's uncertainty.

    By entropy and the largest probability of any run that was logged with `--log_samples` (of answers
    without options by their confidence); by mutual information and disagreement too where it was one of
    `--model swag`.
    """
    from lm_eval_calibration.analysis.detection import cautions
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.ood import detect_all, render
    from lm_eval_calibration.cli.source import load, say

    how = choose(as_json, as_csv, as_markdown)
    one, other = (
        load([run], skip_bad, table, filter_name=filter_name) for run in (inside, outside)
    )
    found = detect_all(one, other, replicates)
    say(cautions(found.inside, found.outside))
    print_text(render(found, how))


@app.command()
def pools(
    runs: options.Runs,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    replicates: options.Replicates = 2000,
    export: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write what a discriminator learns from, as TRL reads it: of each pool with right and "
            "wrong candidates the question which is right, and its number.",
            show_default=False,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score the candidates of generation runs, and test whether choosing among them pays.

    Of runs of `--model self_correct`, `self_consistency` or `fractal` that were logged with
    `--log_samples`.
    """
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.pools import export_choices, find, render

    if export is not None:
        check_file(export, JSON_LINES, overwrite=overwrite)
    how = choose(as_json, as_csv, as_markdown)
    print_text(render(find(runs, filter_name, replicates, skip_bad), how))
    if export is not None:
        export_choices(runs, export, filter_name, skip_bad, overwrite)


@app.command()
def beliefs(
    runs: options.Runs,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    replicates: options.Replicates = 2000,
    method: Annotated[
        str, typer.Option("--map", help="Makes probabilities of beliefs: isotonic or platt.")
    ] = "platt",
) -> None:
    """Compare the beliefs that a run logged of the same answers: which one ranks, which one is calibrated?

    Of runs of `--model beliefs`, `likelihood` or `semantic_entropy` that were logged with
    `--log_samples`.
    """
    from lm_eval_calibration.cli.beliefs import find, render
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.errors import invalid

    if method not in ("isotonic", "platt"):
        raise invalid("--map", "isotonic or platt", f"`{method}`")
    how = choose(as_json, as_csv, as_markdown)
    print_text(render(find(runs, filter_name, method, replicates, skip_bad), method, how))


@app.command()
@takes_tables()
def thresholds(
    fit_on: Annotated[
        str, typer.Option("--fit", metavar="RUN", help="Run on which thresholds are chosen.")
    ],
    test: Annotated[
        str, typer.Option("--test", metavar="RUN", help="Run on other documents, to judge them.")
    ],
    precision: Annotated[
        list[float] | None,
        typer.Option(help="Wanted; may be given several times.", show_default="0.8, 0.9, 0.95"),
    ] = None,
    risk: Annotated[
        list[float] | None,
        typer.Option(
            help="Share of wrong answers among the accepted that shall not be exceeded, with a guarantee; may be "
            "given several times. Beside it stands the plain threshold of that precision.",
            show_default=False,
        ),
    ] = None,
    by_option: Annotated[
        bool, typer.Option("--by-option", help="A threshold for each option against the rest.")
    ] = False,
    calibrator: options.CalibratorFolder = None,
    allow_other: options.AllowOther = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    table: Table = NO_TABLE,
) -> None:
    """Choose the confidence above which a wanted precision is reached, and judge it elsewhere.

    With --risk, one that is exceeded in 1 of 20 draws of the documents at most. With a --calibrator that was
    fitted on the documents of --fit, these are mapped by its method crosswise; --risk wants others.
    """
    from lm_eval_calibration.analysis.thresholds import PRECISIONS
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.source import load
    from lm_eval_calibration.cli.thresholds import find, render

    how = choose(as_json, as_csv, as_markdown)
    one, other = (
        load(
            [run],
            skip_bad,
            table,
            filter_name=filter_name,
            calibrator=calibrator,
            allow_other=allow_other,
            crosswise=run == fit_on and not risk,
        )
        for run in (fit_on, test)
    )
    wanted = precision or (() if risk else PRECISIONS)
    print_text(render(find(one, other, wanted, by_option, risk or ()), how))


@app.command()
@takes_tables(without=("confidence", "correct", "score"))
def sets(
    fit_on: Annotated[
        str,
        typer.Option("--fit", metavar="RUN", help="Labelled run on which the threshold is found."),
    ],
    test: Annotated[
        str | None,
        typer.Option(
            "--test",
            metavar="RUN",
            help="Run on other documents, which get sets; else half of each task's.",
            show_default=False,
        ),
    ] = None,
    coverage: Annotated[
        float, typer.Option(help="How often a right option shall be in the set.")
    ] = 0.9,
    score: Annotated[
        str,
        typer.Option(
            "--score", help="lac: the smallest sets; aps: larger where a document is hard."
        ),
    ] = "lac",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Write a line for each document: its set.", show_default=False
        ),
    ] = None,
    calibrator: options.CalibratorFolder = None,
    allow_other: options.AllowOther = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    table: Table = NO_TABLE,
    overwrite: Overwrite = False,
) -> None:
    """Give each document a set of options that holds a right one as often as wanted (split conformal)."""
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.sets import find, render, write
    from lm_eval_calibration.cli.source import load

    if output is not None:
        check_file(output, JSON_LINES, overwrite=overwrite)
    how = choose(as_json, as_csv, as_markdown)
    one, *other = (
        load(
            [run],
            skip_bad,
            table,
            filter_name=filter_name,
            calibrator=calibrator,
            allow_other=allow_other,
        )
        for run in (fit_on, *([test] if test else []))
    )
    found = find(one, other[0] if other else None, coverage, score)
    print_text(render(found, coverage, score, how))
    if output is not None:
        write(found, output, overwrite)
