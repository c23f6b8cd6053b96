"""`lm-calib score`, `compare`, `report`, `diagram`, `scrub`: runs that were logged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import runs as options
from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table, takes_tables
from lm_eval_calibration.cli.commands.root import app
from lm_eval_calibration.cli.outputs import Overwrite, say_where


@app.command()
@takes_tables()
def score(
    runs: options.Runs,
    metrics: options.Metrics = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Every metric, as --json and --csv have it; of many tasks too."),
    ] = False,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    calibrator: options.CalibratorFolder = None,
    allow_other: options.AllowOther = False,
    cross_fit: options.CrossFit = None,
    cluster: options.Cluster = "auto",
    by: options.By = None,
    replicates: options.Replicates = 1000,
    table: Table = NO_TABLE,
) -> None:
    """Score runs that were logged with `--log_samples`: metrics with intervals and null bands.

    Any multiple-choice task of any harness run, with or without this package; or, with
    --confidence, --score or --options, any table. Shown are acc, nll, brier, ece and auroc, of more than a
    dozen tasks in a row each; --metrics chooses, --all, --json and --csv have every metric.
    """
    from lm_eval_calibration.cli.formats import choose, print_text
    from lm_eval_calibration.cli.score import cannot_be_had, render, score_runs, usual
    from lm_eval_calibration.cli.score_overview import columns
    from lm_eval_calibration.cli.source import load, say

    how = choose(as_json, as_csv, as_markdown)
    names = options.names(metrics)
    read = load(
        runs,
        skip_bad,
        table,
        filter_name=filter_name,
        calibrator=calibrator,
        allow_other=allow_other,
        cross_fit=cross_fit,
        cluster=cluster,
        by=by,
    )
    if by is not None:
        from lm_eval_calibration.cli import score_by

        print_text(score_by.render(score_by.find(read, by, names, replicates), how))
        return
    say([f"not scored: {reason}." for reason in cannot_be_had(read, names)])
    few = columns(read, names, how, everything)
    wanted = few or names or usual(how, everything)
    print_text(render(score_runs(read, wanted, replicates), how, few))


@app.command()
@takes_tables()
def compare(
    runs: options.Runs,
    metrics: options.Metrics = None,
    allow_partial: Annotated[
        bool,
        typer.Option("--allow-partial", help="Compare on the documents that all runs have."),
    ] = False,
    trend: Annotated[
        Path | None,
        typer.Option(help="Also draw each metric over the runs, in the order given, here."),
    ] = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    cluster: options.Cluster = "auto",
    replicates: options.Replicates = 2000,
    table: Table = NO_TABLE,
    overwrite: Overwrite = False,
) -> None:
    """Compare runs with the first of them, on the same documents, with paired tests."""
    from lm_eval_calibration.analysis.document_pairing import match
    from lm_eval_calibration.analysis.noise import promised
    from lm_eval_calibration.cli.compare import compare_all, draw_trend, render
    from lm_eval_calibration.cli.compare_overview import columns
    from lm_eval_calibration.cli.formats import OutputFormat, choose, print_text
    from lm_eval_calibration.cli.source import load, say
    from lm_eval_calibration.report.figures import check_image

    how, names = choose(as_json, as_csv, as_markdown), options.names(metrics)
    if trend is not None:
        check_image(trend, overwrite=overwrite)
    read = load(runs, skip_bad, table, one_each=True, filter_name=filter_name, cluster=cluster)
    matched = match(read, allow_partial=allow_partial)
    say([f"paired: {text}." for text in matched.renamed])
    say([f"left out: {text}." for text in matched.left_out])
    say(promised(matched.runs))
    few = columns(matched.runs, names, how)
    compared = compare_all(matched.runs, few or names, replicates)
    print_text(render(compared, matched.left_out, how, few))
    if trend is not None:
        draw_trend(matched.runs, names, trend, overwrite)
        say_where(trend, err=how is not OutputFormat.TABLE)


@app.command()
@takes_tables()
def report(
    runs: options.Runs,
    output: Annotated[Path, typer.Option("--output", "-o", help="The page.")] = Path("report.html"),
    figures: Annotated[
        Path | None, typer.Option(help="Folder for every figure as SVG and PNG.")
    ] = None,
    examples: Annotated[
        int, typer.Option(min=0, help="Over-confident wrong answers to show for each task.")
    ] = 10,
    metrics: options.Metrics = None,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    calibrator: options.CalibratorFolder = None,
    allow_other: options.AllowOther = False,
    cross_fit: options.CrossFit = None,
    cluster: options.Cluster = "auto",
    by: options.By = None,
    replicates: options.Replicates = 1000,
    thresholds_from: Annotated[
        str | None,
        typer.Option(
            "--thresholds",
            metavar="RUN",
            help="Run on other documents, to choose thresholds on; else half of each task's.",
            show_default=False,
        ),
    ] = None,
    table: Table = NO_TABLE,
    overwrite: Overwrite = False,
) -> None:
    """Write one self-contained HTML page about runs that were logged, and print its path."""
    from lm_eval_calibration.cli.report import check, write
    from lm_eval_calibration.cli.source import load

    check(output, figures, overwrite)
    names = options.names(metrics)
    read = load(
        runs,
        skip_bad,
        table,
        filter_name=filter_name,
        calibrator=calibrator,
        allow_other=allow_other,
        cross_fit=cross_fit,
        cluster=cluster,
        by=by,
    )
    other = None
    if thresholds_from is not None:
        other = load(
            [thresholds_from],
            skip_bad,
            table,
            filter_name=filter_name,
            calibrator=calibrator,
            allow_other=allow_other,
            cross_fit=cross_fit,
        )
    write(read, names, output, figures, examples, replicates, other, overwrite, by)
    say_where(output)


@app.command()
@takes_tables()
def diagram(
    runs: options.Runs,
    output: Annotated[Path, typer.Option("--output", "-o", help="Image file.")] = Path(
        "reliability.png"
    ),
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    calibrator: options.CalibratorFolder = None,
    allow_other: options.AllowOther = False,
    cross_fit: options.CrossFit = None,
    table: Table = NO_TABLE,
    overwrite: Overwrite = False,
) -> None:
    """Draw the reliability diagrams of runs that were logged, and print the file's path."""
    from lm_eval_calibration.cli.report import diagrams
    from lm_eval_calibration.cli.source import load
    from lm_eval_calibration.report.figures import check_image

    check_image(output, overwrite=overwrite)
    read = load(
        runs,
        skip_bad,
        table,
        filter_name=filter_name,
        calibrator=calibrator,
        allow_other=allow_other,
        cross_fit=cross_fit,
    )
    diagrams(read, output, overwrite)
    say_where(output)


@app.command()
def scrub(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Folder of a run, or of several.", show_default=False)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The copy, which must not exist; by default RUN-scrubbed.",
            show_default=False,
        ),
    ] = None,
) -> None:  # fmt: skip
    """Copy a run's results and samples without keys, tokens and passwords, to be published.

    What the configuration keeps secret is taken out wherever it stands; all else is the same to the
    bit. Documents' own texts stay as they are.
    """
    from lm_eval_calibration.cli.scrub import run as scrub_run

    scrub_run(run, output)
