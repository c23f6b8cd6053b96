"""`lm-calib fit ...`: calibrators from labelled documents."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lm_eval_calibration.cli.arguments import fitting as options
from lm_eval_calibration.cli.arguments import runs as shared
from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table, takes_tables
from lm_eval_calibration.cli.commands import root
from lm_eval_calibration.cli.outputs import OverwriteArtifact
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.files import check_folder, claim_folder, kind_of
from lm_eval_calibration.members import BrokenMemberError, package_of, points


class _Fits(TyperGroup):
    """Its help says what other packages' calibrators are; they are loaded for that alone."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for command in self.commands.values():
            if isinstance(command, _Added):
                command.tell()
        super().format_help(ctx, formatter)


class _Added(TyperCommand):
    """The command of another package's calibrator."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.tell()
        super().format_help(ctx, formatter)

    def tell(self) -> None:
        """Have the help say what the calibrator is, or why it cannot be used."""
        from lm_eval_calibration.calibrators import METHODS

        name = str(self.name)
        package = package_of(OTHERS[name])
        try:
            meaning = f"{METHODS[name].meaning} (of {package})."
        except BrokenMemberError as error:
            meaning = str(error)
        self.help = _sentence(name, meaning)


app = typer.Typer(
    cls=_Fits,
    help="Fit a calibrator on labelled documents, and keep it in a folder.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
root.app.add_typer(app, name="fit")


@app.callback()
def _quiet() -> None:
    """Leave the terminal to our own progress bar: the harness draws one for every task."""
    os.environ.setdefault("TQDM_DISABLE", "1")


@app.command()
def verbalized(
    output: options.Output,
    samples: Annotated[
        list[str],
        typer.Option(
            metavar="RUN",
            help="A run of --model verbalized, made with --log_samples.",
            show_default=False,
        ),
    ],
    method: Annotated[
        str,
        typer.Option(help="What is kept: inverse_softmax, resoftmax, vector, platt or isotonic."),
    ] = "inverse_softmax",
    folds: Annotated[int, typer.Option(help="Of the held-out figures that are printed.")] = 5,
    per_task: Annotated[
        bool, typer.Option("--per-task", help="Parameters of each task's own.")
    ] = False,
    skip_bad: shared.SkipBad = False,
    filter_name: shared.Filter = None,
    overwrite: OverwriteArtifact = False,
) -> None:
    """Calibrate probabilities that a model stated (Wang et al., 2024), and compare the methods."""
    from lm_eval_calibration.calibrators.artifact import FILES
    from lm_eval_calibration.cli.fit_recalibrator import from_samples
    from lm_eval_calibration.cli.fit_verbalized import check_method, run

    check_method(method)
    check_folder(output, method, FILES, overwrite=overwrite)
    beliefs = from_samples(samples, None, skip_bad, filter_name)
    run(beliefs, output, method, folds, per_task, overwrite)


@app.command()
@takes_tables(without=("model",))
def best(
    output: options.Output,
    samples: Annotated[
        list[str],
        typer.Option(metavar="RUN", help="A run made with --log_samples.", show_default=False),
    ],
    folds: Annotated[int, typer.Option(help="Of the held-out figures.")] = 5,
    per_task: Annotated[
        bool, typer.Option("--per-task", help="Parameters of each task's own.")
    ] = False,
    skip_bad: shared.SkipBad = False,
    filter_name: shared.Filter = None,
    table: Table = NO_TABLE,
    overwrite: OverwriteArtifact = False,
) -> None:
    """Fit every calibrator that applies, compare them on held-out folds, and keep the simplest good one."""
    from lm_eval_calibration.calibrators import METHODS
    from lm_eval_calibration.calibrators.artifact import FILES
    from lm_eval_calibration.cli.fit_best import run
    from lm_eval_calibration.cli.fit_recalibrator import from_samples

    overwrite = overwrite or kind_of(output) in METHODS  # (which method is kept is its own choice)
    check_folder(output, "best", FILES, overwrite=overwrite)
    run(from_samples(samples, table, skip_bad, filter_name), output, folds, per_task, overwrite)


RECALIBRATORS = {
    "temperature": "one number divides all log-likelihoods",
    "vector": "a factor and an offset for each option's position",
    "platt": "a logistic curve of the log-odds",
    "beta": "a logistic curve of log p and log(1 - p)",
    "spline": "a rising spline of the log-odds",
    "centred_isotonic": "the rising staircase, straight from the middle of each step to the next's",
    "isotonic": "the rising staircase that fits best",
    "histogram": "each bin's share of right ones",
    "inverse_softmax": "a floor for printed zeros, then one number divides log-probabilities",
    "prior": "what is preferred whatever is asked is divided out; reads no labels",
    "resoftmax": "a temperature on probabilities as if they were logits; for comparison",
}
"""As in `calibrators.METHODS`, which would have to be imported for every `lm-calib --help`."""


OTHERS = points("lm_eval_calibration.calibrators", RECALIBRATORS).kept
"""Those that other packages add; loaded when they are asked for, or help is."""


def _sentence(method: str, meaning: str) -> str:
    return f"{method.capitalize().replace('_', ' ')}: {meaning}"


def _add(method: str, meaning: str, cls: type[TyperCommand] = TyperCommand) -> None:
    @app.command(method, cls=cls, help=_sentence(method, meaning))
    @takes_tables(without=("model",))
    def command(
        output: options.Output,
        samples: Annotated[
            list[str] | None,
            typer.Option(
                metavar="RUN",
                help="A run made with --log_samples, instead of a model's pass.",
                rich_help_panel="Logged samples",
                show_default=False,
            ),
        ] = None,
        folds: Annotated[int, typer.Option(help="Of the held-out figures that are printed.")] = 5,
        per_task: Annotated[
            bool, typer.Option("--per-task", help="Parameters of each task's own.")
        ] = False,
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
        from lm_eval_calibration.calibrators.artifact import FILES
        from lm_eval_calibration.calibrators.calibrator import find
        from lm_eval_calibration.cli.fit_recalibrator import from_model, from_samples, run

        if bool(samples) == bool(tasks):
            raise InvalidInputError(
                "Give either --samples, a run that was logged, or --tasks with --model and "
                "--model_args."
            )
        find(method)  # (another package's may not be one)
        check_folder(output, method, FILES, overwrite=overwrite)
        if samples:
            beliefs = from_samples(samples, table, skip_bad, filter_name)
        else:
            from lm_eval_calibration.fitting.sources import ModelArguments

            asked = ModelArguments(model, model_args, device, batch_size)
            wanted = options.selection(
                tasks, split, limit, num_fewshot, apply_chat_template, include_path
            )
            claim_folder(output, method, FILES, overwrite=overwrite)  # (features come before)
            beliefs = from_model(asked, wanted, features or output / "features")
        run(method, beliefs, output, folds, per_task, overwrite)


for _method, _meaning in RECALIBRATORS.items():
    if _method != "prior":  # (which has a command of its own)
        _add(_method, f"{_meaning}.")
for _name, _point in OTHERS.items():
    _add(_name, f"of {package_of(_point)}.", _Added)
