"""Calibration while a model trains: a `transformers` callback that evaluates at every save."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from lm_eval_calibration.checkpoints.found import Checkpoint
from lm_eval_calibration.checkpoints.settings import CALLBACK, RUNS, EvaluationSettings
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.running import checked_tasks
from lm_eval_calibration.messages import logger
from lm_eval_calibration.metrics.table import bind

log = logger(f"lm_eval.{__name__}")

CHECKPOINT_METRICS = ("acc", "nll", "ece")


class CalibrationCallback(TrainerCallback):
    """Evaluates the model in training on the harness's tasks whenever it is saved.

    Accuracy, NLL and ECE with the ends of their 95 % intervals go through the trainer's own log
    (`calib_arc/acc`, `calib_arc/acc_low`, `calib_arc/acc_high`, ...), to whatever it reports to. Runs
    are kept where `lm-calib checkpoints OUTPUT_DIR` looks for them.

        trainer = Trainer(...)
        trainer.add_callback(CalibrationCallback(trainer, ["calib_arc_easy"], limit=200))

    Args:
        trainer: a `transformers.Trainer`, or one of TRL's.
        tasks: names, as `lm_eval` has them.
        limit, num_fewshot, apply_chat_template: as in `EvaluationSettings`.
        metrics: that are logged.
        batch_size: of the evaluation, where batches are counted.
        runs: folder of the results; by default `calibration` in the trainer's output folder.
        task_manager: the harness's, where tasks are one's own: `TaskManager(include_path=...)`.

    Raises:
        InvalidInputError: no tasks, ones that there are not or that have no options, or a trainer
            without a tokenizer.
        UnknownNameError: a metric that there is not.
    """

    def __init__(
        self,
        trainer: Any,
        tasks: Sequence[str],
        *,
        limit: int | None = None,
        num_fewshot: int | None = None,
        apply_chat_template: bool = False,
        metrics: Sequence[str] = CHECKPOINT_METRICS,
        batch_size: int = 8,
        runs: str | Path | None = None,
        task_manager: Any = None,
    ) -> None:
        if not tasks or isinstance(tasks, str):
            raise InvalidInputError(f"`tasks` must be a list of names of tasks, got {tasks!r}.")
        self._tokenizer = getattr(trainer, "processing_class", None)
        if self._tokenizer is None:
            raise InvalidInputError(
                "The trainer has no tokenizer: Trainer(processing_class=tokenizer)."
            )
        self._trainer, self._metrics, self._batch = trainer, tuple(metrics), batch_size
        self._tasks = checked_tasks(tasks, "hf-fast", manager=task_manager)
        for name in metrics:
            bind(name)
        dtype = str(next(trainer.model.parameters()).dtype).removeprefix("torch.")
        self._settings = EvaluationSettings(
            list(tasks), limit, num_fewshot, apply_chat_template, model_args={"dtype": dtype}
        )
        self._runs = Path(runs) if runs is not None else Path(trainer.args.output_dir) / RUNS

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Evaluate the weights in memory, which have just been saved."""
        trainer, step = self._trainer, int(state.global_step)
        folder = Path(args.output_dir) / f"checkpoint-{step}"
        if trainer.is_world_process_zero() and folder.is_dir():
            checkpoint = _checkpoint(step, folder, trainer)
            if not self._settings.done(self._runs, checkpoint):
                self._evaluate(checkpoint)
        trainer.accelerator.wait_for_everyone()

    def _evaluate(self, checkpoint: Checkpoint) -> None:
        from lm_eval_calibration.checkpoints.in_memory import evaluated, intervals

        trainer = self._trainer
        model = trainer.accelerator.unwrap_model(trainer.model)
        out = self._settings.folder(self._runs, checkpoint)
        try:
            evaluated(model, self._tokenizer, self._settings, self._batch, out, self._tasks)
            found = intervals(out, self._metrics)
        except Exception as error:  # noqa: BLE001 - a training must not end for what is said of it
            log.error("%s was not evaluated: %r", checkpoint.name, error)
            return
        self._settings.finish(self._runs, checkpoint, CALLBACK)
        trainer.log(found)


def _checkpoint(step: int, folder: Path, trainer: Any) -> Checkpoint:
    config = getattr(trainer.accelerator.unwrap_model(trainer.model), "peft_config", None)
    base = ""
    if config:
        base = str(next(iter(config.values())).base_model_name_or_path or "")
    return Checkpoint(step, folder, base)
