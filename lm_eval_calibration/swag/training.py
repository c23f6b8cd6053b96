"""Training LoRA weights on the options of documents, and the moments of their snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.files import write_tensors
from lm_eval_calibration.scoring.contract import Executor
from lm_eval_calibration.swag import lora
from lm_eval_calibration.swag.moments import Moments
from lm_eval_calibration.swag.questions import (
    OptionQuestion,
    cross_entropy,
    evaluate,
    option_scores,
)
from lm_eval_calibration.swag.schedule import Steps, learning_rates, optimizer_of, steps
from lm_eval_calibration.swag.settings import SwagSettings

STATE = "moments.safetensors"
"""In a checkpoint, written last: a checkpoint without it is half a one."""
SAVE_STEPS, LOG_STEPS = 50, 10
Progress = Callable[[int], None]


@dataclass
class TrainedMember:
    """What a training leaves behind.

    Attributes:
        moments: of the snapshots.
        best: the weights with the lowest validation loss of all epochs' ends (MAP).
        best_loss: that loss, the mean NLL of a validation document in nats.
        log: what the trainer logged: step, epoch, loss, learning rate, validation loss.
    """

    moments: Moments
    best: lora.Weights = field(default_factory=dict)
    best_loss: float = float("inf")
    log: list[dict[str, float]] = field(default_factory=list)


def train(
    model: PeftModel,
    executor: Executor[Any],
    learn: Sequence[OptionQuestion],
    judge: Sequence[OptionQuestion],
    settings: SwagSettings,
    folder: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> TrainedMember:
    """Train the LoRA weights of `model`, and leave the last ones in it.

    Goes on from the last checkpoint in `folder`, if there is one, to the same end.

    Args:
        model: as `lora.adapt` gives it.
        executor: of that model.
        learn: documents to train on.
        judge: documents to validate on after each epoch.
        settings: how.
        folder: for checkpoints.
        seed: of the documents' order and of dropout.
        progress: called with the number of steps done since the last call.

    Raises:
        InvalidInputError: no documents, fewer snapshots than deviations, or a loss that is NaN.
    """
    for argument, questions in (("learn", learn), ("judge", judge)):
        if not questions:
            raise invalid(argument, "at least one document", "none")
    plan = steps(settings, len(learn))
    shapes = {name: tuple(p.shape) for name, p in lora.parameters(model).items()}
    found = TrainedMember(Moments(shapes, settings.rank))
    optimizer = optimizer_of(list(lora.parameters(model).values()), settings)
    trainer = _OptionTrainer(
        model=model,
        args=_arguments(settings, plan, folder, seed, executor.device),
        train_dataset=list(range(len(learn))),
        eval_dataset=list(range(len(judge))),
        data_collator=lambda numbers: {"numbers": torch.tensor(numbers)},
        optimizers=(optimizer, learning_rates(optimizer, settings, plan)),
        callbacks=[_Snapshots(found, model, plan, settings, progress)],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.executor, trainer.learn, trainer.judge = executor, learn, judge
    trainer.train(resume_from_checkpoint=last_checkpoint(folder))
    model.eval()
    found.log = [dict(entry) for entry in trainer.state.log_history if "train_runtime" not in entry]
    return found


def last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint."""
    whole = [path.parent for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{STATE}")]
    newest = max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    return None if newest is None else str(newest)


def _arguments(
    settings: SwagSettings, plan: Steps, folder: Path, seed: int, device: torch.device
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=settings.batch_size,
        num_train_epochs=settings.epochs + settings.swag_epochs,
        max_grad_norm=settings.max_grad_norm,
        eval_strategy="steps",  # (an epoch's end comes after the checkpoint of its last step)
        eval_steps=plan.epoch,
        save_strategy="steps",
        save_steps=min(SAVE_STEPS, plan.epoch),
        save_total_limit=2,
        logging_steps=min(LOG_STEPS, plan.epoch),
        seed=seed,
        data_seed=seed,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # else several devices mean torch's DataParallel
    return arguments


class _OptionTrainer(Trainer):
    """Cross-entropy over the options of each document, all of a batch's in one packed pass."""

    executor: Executor[Any]
    learn: Sequence[OptionQuestion]
    judge: Sequence[OptionQuestion]
    control: Any

    def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *_: Any, **__: Any) -> Any:
        """Mean over the batch's documents."""
        batch = [self.learn[number] for number in inputs["numbers"].tolist()]
        return cross_entropy(option_scores(self.executor, batch), batch).mean()

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The mean NLL of the validation documents."""
        self.model.eval()
        loss = cross_entropy(evaluate(self.executor, self.judge), self.judge).mean()
        metrics = {"eval_loss": float(loss)}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


class _Snapshots(TrainerCallback):
    """Takes the snapshots, keeps the best weights, and puts both into each checkpoint."""

    def __init__(
        self,
        found: TrainedMember,
        model: PeftModel,
        plan: Steps,
        settings: SwagSettings,
        progress: Progress | None,
    ) -> None:
        self.found, self.model, self.plan = found, model, plan
        self.settings, self.progress = settings, progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Go on where the checkpoint was."""
        if state.global_step:
            self._load(_checkpoint(args, state) / STATE)
        if self.progress and state.global_step:
            self.progress(state.global_step)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Go back to the best weights where the settings say so."""
        if self.settings.reload_best and state.global_step == self.plan.start:
            lora.put(self.model, self.found.best)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take a snapshot when it is time."""
        if state.global_step in self.plan.snapshots:
            self.found.moments.collect(lora.weights(self.model))
        if self.progress:
            self.progress(1)

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any
    ) -> None:
        """Keep the weights if they are the best so far."""
        if metrics["eval_loss"] < self.found.best_loss:
            self.found.best_loss = metrics["eval_loss"]
            self.found.best = lora.weights(self.model)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Complete the checkpoint."""
        best = {f"best:{name}": tensor for name, tensor in self.found.best.items()}
        loss = torch.tensor(self.found.best_loss, dtype=torch.float64)
        tensors = {**self.found.moments.state(), **best, "best_loss": loss}
        write_tensors(_checkpoint(args, state) / STATE, save_file, tensors)

    def _load(self, path: Path) -> None:
        state = load_file(path)
        self.found.best_loss = float(state.pop("best_loss"))
        self.found.best = {
            name.removeprefix("best:"): tensor
            for name, tensor in state.items()
            if name.startswith("best:")
        }
        self.found.moments.load(state)


def _checkpoint(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
