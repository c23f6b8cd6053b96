"""Each checkpoint through `lm_eval`, in a process of its own: a failure costs one, memory is given back."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lm_eval_calibration.checkpoints.found import Checkpoint
from lm_eval_calibration.checkpoints.settings import EvaluationSettings
from lm_eval_calibration.errors import CalibrationError, InvalidInputError


@dataclass(frozen=True)
class Runner:
    """How checkpoints are loaded.

    Attributes:
        model: `--model` of the harness.
        model_args: more arguments of it, e.g. dtype; `pretrained` stands for an adapter's base.
        options: further ones of `lm_eval run`.
    """

    model: str = "hf-fast"
    model_args: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()

    def arguments(self, checkpoint: Checkpoint) -> str:
        """Of `--model_args`.

        Raises:
            InvalidInputError: a whole model without a tokenizer, where none is named.
        """
        given = {**checkpoint.model_args, **self.model_args}
        if not checkpoint.base and not checkpoint.tokenizer and "tokenizer" not in given:
            raise InvalidInputError(
                f"`{checkpoint.folder}` has no tokenizer. Give --model_args tokenizer=NAME_OR_FOLDER, or have the "
                "Trainer save it (processing_class=tokenizer)."
            )
        if checkpoint.base == "" and "pretrained" in self.model_args:
            raise InvalidInputError(
                "--model_args pretrained= is an adapter's base; these are whole models."
            )
        return ",".join(f"{name}={value}" for name, value in given.items())


class Evaluated(NamedTuple):
    """A checkpoint, its results' folder, and how long they took; 0 where they were there."""

    checkpoint: Checkpoint
    folder: Path
    seconds: float


def evaluate(
    checkpoints: Sequence[Checkpoint],
    settings: EvaluationSettings,
    runs: Path,
    runner: Runner,
    say: Callable[[str], None],
) -> Iterator[Evaluated]:
    """Evaluate those that have not been evaluated, in order.

    Raises:
        CalibrationError: a run failed; what was done before stays, and another call goes on from there.
    """
    told = {each.step: runner.arguments(each) for each in checkpoints}
    for number, checkpoint in enumerate(checkpoints, 1):
        folder, seconds = settings.folder(runs, checkpoint), 0.0
        if not settings.done(runs, checkpoint):
            say(f"{checkpoint.name} ({number} of {len(checkpoints)})")
            started = time.perf_counter()
            _run(_command(settings, runner, told[checkpoint.step], folder), folder, checkpoint)
            settings.finish(runs, checkpoint, "lm-calib checkpoints")
            seconds = time.perf_counter() - started
        yield Evaluated(checkpoint, folder, seconds)


def _command(
    settings: EvaluationSettings, runner: Runner, model_args: str, folder: Path
) -> list[str]:
    command = [sys.executable, "-m", "lm_eval_calibration", "run", "--model", runner.model]
    command += ["--model_args", model_args, "--tasks", ",".join(settings.tasks)]
    command += ["--log_samples", "--output_path", str(folder), *runner.options]
    for name in ("limit", "num_fewshot"):
        if (value := getattr(settings, name)) is not None:
            command += [f"--{name}", str(value)]
    return command + ["--apply_chat_template"] * settings.apply_chat_template


def _run(command: Sequence[str], folder: Path, checkpoint: Checkpoint) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
        said = [line.strip() for line in lines if line.strip()] or ["nothing"]
        why = next(
            (line for line in reversed(said) if re.match(r"[\w.]*(Error|Exception)\b", line)),
            said[-1],
        )
        raise CalibrationError(
            f"{checkpoint.name} could not be evaluated ({why[:300]}); see {log}. Those before it are kept: "
            "the same command goes on from there."
        )
