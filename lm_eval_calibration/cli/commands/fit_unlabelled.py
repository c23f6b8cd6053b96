"""`lm-calib fit daca`, `fit prior`: calibrators that read no labels."""

from __future__ import annotations

from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import fitting as options
from lm_eval_calibration.cli.arguments import runs as shared
from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table, takes_tables
from lm_eval_calibration.cli.commands.fit import app
from lm_eval_calibration.cli.outputs import OverwriteArtifact
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import check_folder, claim_folder

PerTask = Annotated[bool, typer.Option("--per-task", help="Parameters of each task's own.")]


@app.command()
def daca(
    output: options.Output,
    samples: Annotated[
        str, typer.Option(metavar="RUN", help="A run of the tuned model.", show_default=False)
    ],
    reference: Annotated[
        str,
        typer.Option(
            metavar="RUN",
            help="A run of its pre-trained sibling, on the same documents.",
            show_default=False,
        ),
    ],
    per_task: PerTask = False,
    skip_bad: shared.SkipBad = False,
    filter_name: shared.Filter = None,
    overwrite: OverwriteArtifact = False,
) -> None:
    """Without labels: the temperature at which a tuned model is as sure as its pre-trained sibling (Luo et al., 2025)."""
    from lm_eval_calibration.calibrators.artifact import FILES
    from lm_eval_calibration.cli.fit_unlabelled import align

    check_folder(output, "temperature", FILES, overwrite=overwrite)
    align(samples, reference, output, skip_bad, filter_name, per_task, overwrite)


@app.command()
@takes_tables(without=("model",))
def prior(
    output: options.Output,
    samples: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="A run made with --log_samples (for pride by --model option_tokens in several orders).",
            rich_help_panel="Logged samples",
            show_default=False,
        ),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            help="batch: what is believed on average; pride: what letters are preferred in whatever order; "
            "contextual: what is believed where nothing is asked."
        ),
    ] = "batch",
    folds: Annotated[int, typer.Option(help="Of the held-out figures of batch.")] = 5,
    per_task: PerTask = False,
    skip_bad: shared.SkipBad = False,
    filter_name: shared.Filter = None,
    table: Table = NO_TABLE,
    tasks: options.Tasks = None,
    model: options.Model = "hf-fast",
    model_args: options.ModelArgs = "",
    features: options.Features = None,
    split: options.Split = None,
    limit: options.Limit = None,
    num_fewshot: options.Shots = None,
    apply_chat_template: options.Chat = False,
    include_path: options.IncludePath = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
    overwrite: OverwriteArtifact = False,
) -> None:
    """Without labels: what is preferred whatever is asked, a letter or a place, is divided out."""
    from lm_eval_calibration.calibrators.artifact import FILES
    from lm_eval_calibration.cli import fit_unlabelled
    from lm_eval_calibration.cli.fit_recalibrator import from_model, from_samples, run
    from lm_eval_calibration.fitting.sources import ModelArguments

    if method not in fit_unlabelled.PRIOR_METHODS:
        raise invalid("--method", ", ".join(fit_unlabelled.PRIOR_METHODS), f"`{method}`")
    if bool(samples) == bool(tasks):
        raise InvalidInputError(
            "Give either --samples, a run that was logged, or --tasks with --model and --model_args."
        )
    if (method == "pride" and not samples) or (method == "contextual" and not tasks):
        needed = "--samples" if method == "pride" else "--tasks with --model and --model_args"
        raise InvalidInputError(f"`--method {method}` needs {needed}.")
    check_folder(output, "prior", FILES, overwrite=overwrite)
    if method == "pride":
        fit_unlabelled.from_orders(
            samples or (), output, skip_bad, filter_name, per_task, overwrite
        )
        return
    if samples:
        beliefs = from_samples(samples, table, skip_bad, filter_name)
        run("prior", beliefs, output, folds, per_task, overwrite)
        return
    asked = ModelArguments(model, model_args, device, batch_size)
    wanted = options.selection(tasks, split, limit, num_fewshot, apply_chat_template, include_path)
    if method == "contextual":
        fit_unlabelled.from_nothing(asked, wanted, output, per_task, overwrite)
        return
    claim_folder(output, "prior", FILES, overwrite=overwrite)  # (features come before)
    beliefs = from_model(asked, wanted, features or output / "features")
    run("prior", beliefs, output, folds, per_task, overwrite)
