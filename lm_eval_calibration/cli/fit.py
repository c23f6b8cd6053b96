"""`lm-calib fit ...`: calibrators from labelled documents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_calibration.cli import fit_options as options
from lm_eval_calibration.cli import fractal_options
from lm_eval_calibration.cli import options as shared
from lm_eval_calibration.cli import training_options as training
from lm_eval_calibration.errors import InvalidInputError, invalid

if TYPE_CHECKING:
    from lm_eval_calibration.calibrators.thermometer import Settings

app = typer.Typer(
    help="Fit a calibrator on labelled documents, and keep it in a folder.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _quiet() -> None:
    """Leave the terminal to our own progress bar: the harness draws one for every task."""
    os.environ.setdefault("TQDM_DISABLE", "1")


@app.command()
def thermometer(
    output: options.Output,
    tasks: options.Tasks = None,
    model: options.Model = "hf-fast",
    model_args: options.ModelArgs = "",
    features: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the feature store; a pass that was made before is not made again. By "
            "default OUTPUT/features.",
            show_default=False,
        ),
    ] = None,
    leave_one_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-out",
            help="Hold out each task once, print the paper's table, and fit on all at the end.",
        ),
    ] = False,
    preset: Annotated[str, typer.Option(help="`default`, or `paper` for every figure of it.")] = (
        "default"
    ),
    mean: Annotated[
        str | None,
        typer.Option(
            help="Of the documents' temperatures: harmonic (as published) or arithmetic.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of weights and batches.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Thermometers per held-out task.")] = 5,
    split: options.Split = None,
    limit: options.Limit = None,
    num_fewshot: options.Shots = None,
    apply_chat_template: options.Chat = False,
    include_path: options.IncludePath = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
) -> None:
    """Learn to read a task's temperature off its prompts (THERMOMETER, Shen et al., 2024).

    From labelled documents of many tasks; `lm_eval --model thermometer` then calibrates a task
    that nobody labelled.
    """
    from lm_eval_calibration.cli.fit_thermometer import run
    from lm_eval_calibration.fitting.sources import ModelArguments

    wanted = options.selection(tasks, split, limit, num_fewshot, apply_chat_template, include_path)
    run(
        ModelArguments(model, model_args, device, batch_size),
        wanted,
        output,
        features or output / "features",
        settings(preset, mean),
        seed,
        range(seed, seed + seeds) if leave_one_out else (),
    )


def settings(preset: str, mean: str | None) -> Settings:
    """The hyper-parameters of a preset.

    Raises:
        InvalidInputError: an unknown preset or mean.
    """
    from dataclasses import replace

    from lm_eval_calibration.calibrators.thermometer.settings import PRESETS

    if preset not in PRESETS:
        raise invalid("--preset", " or ".join(PRESETS), f"`{preset}`")
    if mean is None:
        return PRESETS[preset]
    if mean == "harmonic":
        return replace(PRESETS[preset], mean="harmonic")
    if mean == "arithmetic":
        return replace(PRESETS[preset], mean="arithmetic")
    raise invalid("--mean", "harmonic or arithmetic", f"`{mean}`")


@app.command()
def swag(
    output: options.Output,
    tasks: options.Tasks = None,
    model_args: options.ModelArgs = "",
    members: Annotated[
        int, typer.Option(min=1, help="Trainings from other weights and orders: MultiSWAG.")
    ] = 1,
    preset: Annotated[
        str, typer.Option(help="`default`, or `onal2024` for the published schedule.")
    ] = "default",
    seed: Annotated[int, typer.Option(help="Of weights, order and dropout.")] = 0,
    epochs: training.Epochs = None,
    swag_epochs: training.SwagEpochs = None,
    learning_rate: training.LearningRate = None,
    swag_learning_rate: training.SwagLearningRate = None,
    batch_documents: training.BatchDocuments = None,
    snapshots_per_epoch: training.Snapshots = None,
    rank: training.Rank = None,
    scale: training.Scale = None,
    lora_rank: training.LoraRank = None,
    target_modules: training.TargetModules = None,
    split: options.Split = None,
    limit: options.Limit = None,
    num_fewshot: options.Shots = None,
    apply_chat_template: options.Chat = False,
    include_path: options.IncludePath = None,
    device: options.Device = None,
    batch_size: options.BatchSize = None,
) -> None:
    """Train LoRA weights on tasks, and learn the posterior around them (SWAG, Onal et al., 2024).

    `lm_eval --model swag` then averages option probabilities over draws from it. A run that was
    stopped goes on where it was, by the same command.
    """
    from lm_eval_calibration.cli.fit_swag import run, settings_of
    from lm_eval_calibration.fitting.sources import ModelArguments

    wanted = options.selection(tasks, split, limit, num_fewshot, apply_chat_template, include_path)
    chosen = settings_of(
        preset,
        epochs=epochs,
        swag_epochs=swag_epochs,
        learning_rate=learning_rate,
        swag_learning_rate=swag_learning_rate,
        batch_size=batch_documents,
        snapshots_per_epoch=snapshots_per_epoch,
        rank=rank,
        scale=scale,
        lora_rank=lora_rank,
        target_modules=target_modules,
    )
    run(
        ModelArguments("hf-fast", model_args, device, batch_size),
        wanted,
        output,
        chosen,
        members,
        seed,
    )


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
) -> None:
    """Calibrate probabilities that a model stated (Wang et al., 2024), and compare the methods."""
    from lm_eval_calibration.cli.fit_recalibrator import from_samples
    from lm_eval_calibration.cli.fit_verbalized import run

    run(from_samples(samples, shared.Table()), output, method, folds, per_task)


@app.command()
def fractal(
    output: options.Output,
    samples: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="Generation runs made with --log_samples: files, folders or globs.",
            show_default=False,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help=".jsonl, .csv or .parquet with question, response, label (and sentence_labels); "
            "or question, first, second, preferred.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[str, typer.Option(help="Metric that says whether a response is right.")] = (
        "exact_match"
    ),
    filter_name: shared.Filter = None,
    split: fractal_options.Split = "sentences",
    preceding: fractal_options.Preceding = False,
    encoder: fractal_options.EncoderName = "all-MiniLM-L6-v2",
    store: fractal_options.Store = None,
    device: options.Device = None,
    aggregate: fractal_options.Aggregate = "min",
    form: fractal_options.Form = "product",
    bag_loss: fractal_options.BagLoss = "bce",
    weights: fractal_options.Weights = "auto",
    rounds: fractal_options.Rounds = 1,
    plain: fractal_options.Plain = False,
    epochs: fractal_options.Epochs = 40,
    learning_rate: fractal_options.LearningRate = 1e-3,
    seed: fractal_options.Seed = 0,
) -> None:
    """Learn to score sentences from labels of whole responses (FRACTAL, Makhija et al., 2025).

    `lm_eval --model fractal` then scores every sentence of an answer, `lm-calib fractal score`
    those of a run that was logged.
    """
    from lm_eval_calibration.cli.fit_fractal import responses, run, weights_of
    from lm_eval_calibration.fractal.scorer import Reading
    from lm_eval_calibration.fractal.settings import Settings

    settings = Settings(
        aggregate=aggregate,
        form=form,
        bag_loss=bag_loss,
        weights=weights_of(weights),
        rounds=rounds,
        interaction=not plain,
        epochs=epochs,
        learning_rate=learning_rate,
    )
    run(
        responses(samples, table, label, split, filter_name),
        Reading(encoder, split, preceding),
        settings,
        output,
        Path(store) if store else output / "embeddings",
        device,
        seed,
    )


RECALIBRATORS = {
    "temperature": "one number divides all log-likelihoods",
    "vector": "a factor and an offset for each option's position",
    "platt": "a logistic curve of the log-odds",
    "beta": "a logistic curve of log p and log(1 - p)",
    "isotonic": "the rising staircase that fits best",
    "histogram": "each bin's share of right ones",
    "inverse_softmax": "a floor for printed zeros, then one number divides log-probabilities",
    "resoftmax": "a temperature on probabilities as if they were logits; for comparison",
}
"""As in `calibrators.METHODS`, which would have to be imported for every `lm-calib --help`."""


def _add(method: str, meaning: str) -> None:
    @app.command(method, help=f"{method.capitalize().replace('_', ' ')}: {meaning}.")
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
        confidence: shared.Confidence = None,
        correct: shared.Correct = None,
        task: shared.TaskColumn = None,
        where: shared.Where = None,
        tasks: options.Tasks = None,
        model: options.Model = "hf-fast",
        model_args: options.ModelArgs = "",
        split: options.Split = None,
        limit: options.Limit = None,
        num_fewshot: options.Shots = None,
        apply_chat_template: options.Chat = False,
        include_path: options.IncludePath = None,
        device: options.Device = None,
        batch_size: options.BatchSize = None,
    ) -> None:
        from lm_eval_calibration.cli.fit_recalibrator import from_model, from_samples, run
        from lm_eval_calibration.fitting.sources import ModelArguments

        if bool(samples) == bool(tasks):
            raise InvalidInputError(
                "Give either --samples, a run that was logged, or --tasks with --model and "
                "--model_args."
            )
        if samples:
            beliefs = from_samples(samples, shared.table(confidence, correct, None, task, where))
        else:
            asked = ModelArguments(model, model_args, device, batch_size)
            wanted = options.selection(
                tasks, split, limit, num_fewshot, apply_chat_template, include_path
            )
            beliefs = from_model(asked, wanted)
        run(method, beliefs, output, folds, per_task)


for _method, _meaning in RECALIBRATORS.items():
    _add(_method, _meaning)
