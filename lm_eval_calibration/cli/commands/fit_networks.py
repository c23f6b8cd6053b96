"""`lm-calib fit thermometer`, `swag`, `fractal`: calibrators that are trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lm_eval_calibration.cli.arguments import fitting as options
from lm_eval_calibration.cli.arguments import lora as training
from lm_eval_calibration.cli.arguments import runs as shared
from lm_eval_calibration.cli.arguments import sentences
from lm_eval_calibration.cli.commands.fit import app
from lm_eval_calibration.cli.outputs import OverwriteArtifact
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.files import check_folder, claim_folder


@app.command()
def thermometer(
    output: options.Output,
    tasks: options.Tasks = None,
    model: options.Model = "hf-fast",
    model_args: options.ModelArgs = "",
    features: options.Features = None,
    leave_one_out: Annotated[
        bool,
        typer.Option(
            "--leave-one-out",
            help="Hold out each task once, print the paper's table, and fit on all at the end.",
        ),
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Of --leave-one-out: a run of the model's pre-trained sibling on the same documents, for DACA's "
            "row of the table.",
            show_default=False,
        ),
    ] = None,
    free_form: Annotated[
        bool,
        typer.Option(
            "--free_form",
            help="Tasks of generated answers: learn from whether the model takes its own answers for "
            "right, and whether they are. For `--model p_true --model_args base=thermometer,...`.",
        ),
    ] = False,
    filter_name: shared.Filter = None,
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
    overwrite: OverwriteArtifact = False,
) -> None:
    """Learn to read a task's temperature off its prompts (THERMOMETER, Shen et al., 2024).

    From labelled documents of many tasks; `lm_eval --model thermometer` then calibrates a task
    that nobody labelled.
    """
    from lm_eval_calibration.cli.fit_thermometer import FILES, METHOD, FreeForm, run, settings
    from lm_eval_calibration.cli.source import load
    from lm_eval_calibration.fitting.sources import ModelArguments

    if filter_name is not None and not free_form:
        raise InvalidInputError("`--filter` belongs to `--free_form`: options have no filters.")
    wanted = options.selection(tasks, split, limit, num_fewshot, apply_chat_template, include_path)
    check_folder(output, METHOD, FILES, overwrite=overwrite)
    sibling = None
    if reference is not None:
        if not leave_one_out or free_form:
            raise InvalidInputError("`--reference` belongs to `--leave-one-out`, of options.")
        (sibling,) = load([reference], False, None, one_each=True, to_fit=True)
    run(
        ModelArguments(model, model_args, device, batch_size),
        wanted,
        output,
        features or output / "features",
        settings(preset, mean),
        seed,
        range(seed, seed + seeds) if leave_one_out else (),
        overwrite,
        FreeForm(filter_name) if free_form else None,
        sibling,
    )


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
    overwrite: OverwriteArtifact = False,
) -> None:
    """Train LoRA weights on tasks, and learn the posterior around them (SWAG, Onal et al., 2024).

    `lm_eval --model swag` then averages option probabilities over draws from it. A run that was
    stopped goes on where it was, by the same command.
    """
    from lm_eval_calibration.cli.fit_swag import run, settings_of
    from lm_eval_calibration.fitting.sources import ModelArguments
    from lm_eval_calibration.fitting.swag import WORK
    from lm_eval_calibration.swag import artifact

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
    if overwrite:  # (what was fitted there by another method)
        claim_folder(output, artifact.METHOD, artifact.FILES, overwrite=True, work=WORK)
    check_folder(output, artifact.METHOD, artifact.FILES, work=WORK)
    run(
        ModelArguments("hf-fast", model_args, device, batch_size),
        wanted,
        output,
        chosen,
        members,
        seed,
    )


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
    skip_bad: shared.SkipBad = False,
    filter_name: shared.Filter = None,
    split: sentences.Split = "sentences",
    preceding: sentences.Preceding = False,
    in_context: sentences.InContext = False,
    encoder: sentences.EncoderName = "all-MiniLM-L6-v2",
    store: sentences.Store = None,
    device: options.Device = None,
    aggregate: sentences.Aggregate = "min",
    form: sentences.Form = "product",
    bag_loss: sentences.BagLoss = "bce",
    weights: sentences.Weights = "auto",
    rounds: sentences.Rounds = 1,
    plain: sentences.Plain = False,
    calibrator: sentences.Calibrator = "platt",
    epochs: sentences.Epochs = 40,
    learning_rate: sentences.LearningRate = 1e-3,
    seed: sentences.Seed = 0,
    overwrite: OverwriteArtifact = False,
) -> None:
    """Learn to score sentences from labels of whole responses (FRACTAL, Makhija et al., 2025).

    `lm_eval --model fractal` then scores every sentence of an answer, `lm-calib fractal score`
    those of a run that was logged.
    """
    from lm_eval_calibration.calibrators.artifact import FILES
    from lm_eval_calibration.cli.fit_fractal import METHOD, responses, run, weights_of
    from lm_eval_calibration.fractal.reading import SentenceReading
    from lm_eval_calibration.fractal.settings import FractalSettings

    settings = FractalSettings(
        aggregate=aggregate,
        form=form,
        bag_loss=bag_loss,
        weights=weights_of(weights),
        rounds=rounds,
        interaction=not plain,
        epochs=epochs,
        learning_rate=learning_rate,
    )
    reading = SentenceReading(encoder, split, preceding, in_context)
    check_folder(output, METHOD, FILES, overwrite=overwrite)
    run(
        responses(samples, table, label, split, filter_name, skip_bad),
        reading,
        settings,
        output,
        Path(store) if store else output / "embeddings",
        device,
        calibrator,
        seed,
        overwrite,
    )
