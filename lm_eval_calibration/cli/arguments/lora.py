"""Arguments of `lm-calib fit swag` that say how LoRA weights are trained."""

from __future__ import annotations

from typing import Annotated, Any

import typer

_PANEL = "Training (by default as the preset has it)"


def _option(name: str, help: str, **more: Any) -> Any:
    return typer.Option(name, help=help, rich_help_panel=_PANEL, show_default=False, **more)


Epochs = Annotated[int | None, _option("--epochs", "Passes over the documents before snapshots.")]
SwagEpochs = Annotated[
    int | None, _option("--swag_epochs", "Passes during which snapshots are taken.")
]
LearningRate = Annotated[float | None, _option("--learning_rate", "After the warm-up.")]
SwagLearningRate = Annotated[
    float | None, _option("--swag_learning_rate", "Constant, while snapshots are taken.")
]
BatchDocuments = Annotated[
    int | None, _option("--train_batch_size", "Documents of a training step.")
]
Snapshots = Annotated[int | None, _option("--snapshots_per_epoch", "At equal distances.")]
Rank = Annotated[
    int | None, _option("--rank", "Deviations that are kept: the rank of the covariance.")
]
Scale = Annotated[
    float | None,
    _option("--scale", "Of the covariance; else the one with the lowest validation NLL."),
]
LoraRank = Annotated[int | None, _option("--lora_rank", "Of the LoRA weights.")]
TargetModules = Annotated[
    str | None,
    _option(
        "--target_modules",
        "Layers that are adapted; by default what peft adapts in the architecture, else its attention.",
        metavar="NAME,...",
    ),
]
