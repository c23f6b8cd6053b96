"""Each checkpoint through `lm_eval`, in a process of its own: a failure costs one, memory is given back."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lm_eval_calibration.checkpoints.found import Checkpoint
from lm_eval_calibration.checkpoints.settings import EvaluationSettings
from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.redact import redact, secrets_in


@dataclass(frozen=True)
class Runner:
    """How checkpoints are put to the harness.

    Attributes:
        settings: alike for all; among their model arguments `pretrained` stands for an adapter's base.
        options: further ones of `lm_eval run`, which change no figure.
    """

    settings: EvaluationSettings
    options: Sequence[str] = ()

    def arguments(self, checkpoint: Checkpoint) -> str:
        """Of `--model_args`.

        Raises:
            InvalidInputError: a whole model without a tokenizer, where none is named.
        """
        given = {**checkpoint.model_args, **self.settings.model_args}
        if not checkpoint.base and not checkpoint.tokenizer and "tokenizer" not in given:
            raise InvalidInputError(
                f"`{checkpoint.folder}` has no tokenizer. Give --model_args tokenizer=NAME_OR_FOLDER, or have the "
                "Trainer save it (processing_class=tokenizer)."
            )
        if checkpoint.base == "" and "pretrained" in self.settings.model_args:
            raise InvalidInputError(
                "--model_args pretrained= is an adapter's base; these are whole models."
            )
        return ",".join(f"{name}={value}" for name, value in given.items())

    def command(self, model_args: str, folder: Path) -> list[str]:
        """One evaluation."""
        settings = self.settings
        command = [sys.executable, "-m", "lm_eval_calibration", "run", "--model", settings.model]
        command += ["--model_args", model_args, "--tasks", ",".join(settings.tasks)]
        command += ["--log_samples", "--output_path", str(folder), *self.options]
        for name in ("limit", "num_fewshot"):
            if (value := getattr(settings, name)) is not None:
                command += [f"--{name}", str(value)]
        return command + ["--apply_chat_template"] * settings.apply_chat_template


class Evaluated(NamedTuple):
    """A checkpoint, its results' folder, and how long they took; 0 where they were there."""

    checkpoint: Checkpoint
    folder: Path
    seconds: float


def evaluate(
    checkpoints: Sequence[Checkpoint], runs: Path, runner: Runner, say: Callable[[str], None]
) -> Iterator[Evaluated]:
    """Evaluate those that have not been evaluated, in order; one that fails is said, and left out.

    Raises:
        CalibrationError: the first one fails, as all would.
        InvalidInputError: there is no tokenizer, or `pretrained` of whole models.
    """
    settings = runner.settings
    told = {each.step: runner.arguments(each) for each in checkpoints}
    found = 0
    for number, checkpoint in enumerate(checkpoints, 1):
        folder, seconds = settings.folder(runs, checkpoint), 0.0
        if not settings.done(runs, checkpoint):
            say(f"{checkpoint.name} ({number} of {len(checkpoints)})")
            started = time.perf_counter()
            try:
                _run(runner.command(told[checkpoint.step], folder), folder, checkpoint)
            except CalibrationError as error:
                if not found:
                    raise
                say(f"{error} It is left out.")
                continue
            settings.finish(runs, checkpoint, "lm-calib checkpoints")
            seconds = time.perf_counter() - started
        found += 1
        yield Evaluated(checkpoint, folder, seconds)


def _run(command: Sequence[str], folder: Path, checkpoint: Checkpoint) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    text = redact(log.read_text(encoding="utf-8", errors="replace"), secrets_in(list(command)))
    log.write_text(text, encoding="utf-8")
    if done.returncode:
        said = [line.strip() for line in text.split("\n") if line.strip()] or ["nothing"]
        why = next(
            (line for line in reversed(said) if re.match(r"[\w.]*(Error|Exception)\b", line)),
            said[-1],
        )
        raise CalibrationError(
            f"{checkpoint.name} could not be evaluated ({why[:600]}); see {log}."
        )
