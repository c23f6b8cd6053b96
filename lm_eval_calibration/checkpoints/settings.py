"""What checkpoints are evaluated on, and where the results of each are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lm_eval_calibration.checkpoints.found import Checkpoint
from lm_eval_calibration.files import write_json
from lm_eval_calibration.json_text import InvalidJSONError, read_object
from lm_eval_calibration.redact import redact, secrets_in

RUNS, DONE, CALLBACK = "calibration", "evaluated.json", "CalibrationCallback"


@dataclass(frozen=True)
class EvaluationSettings:
    """Tasks, and how they are put to each checkpoint: alike for all of them.

    Attributes:
        tasks: names, as `lm_eval` has them.
        limit: so many documents of each at most.
        num_fewshot: examples before each document; by default the task's own number.
        apply_chat_template: whether prompts are put into the model's chat template.
        model, model_args: which class of the harness answers, and its arguments but for the checkpoint's.
    """

    tasks: Sequence[str]
    limit: int | None = None
    num_fewshot: int | None = None
    apply_chat_template: bool = False
    model: str = "hf-fast"
    model_args: Mapping[str, str] = field(default_factory=dict)

    def folder(self, runs: Path, checkpoint: Checkpoint) -> Path:
        """Where the results of these weights under these settings are; others stand beside it."""
        told = json.dumps([sorted(self.tasks), asdict(self) | {"tasks": None}], sort_keys=True)
        digest = hashlib.sha256(f"{told}{checkpoint.digest()}".encode()).hexdigest()[:12]
        return runs / checkpoint.name / digest

    def done(self, runs: Path, checkpoint: Checkpoint) -> bool:
        """Whether they are there, whole."""
        try:
            told = read_object(self.folder(runs, checkpoint) / DONE)
        except (OSError, InvalidJSONError):
            return False
        return told.get("step") == checkpoint.step

    def followed(self, runs: Path, checkpoint: Checkpoint) -> str:
        """Model arguments under which the callback has left the results that are asked for; "" for none."""
        for path in sorted((runs / checkpoint.name).glob(f"*/{DONE}")):
            try:
                told = read_object(path)
            except (OSError, InvalidJSONError):
                continue
            same = all(told.get(n) == v for n, v in asdict(self).items() if n != "model_args")
            if same and told.get("by") == CALLBACK and isinstance(told.get("model_args"), dict):
                return ",".join(f"{k}={v}" for k, v in told["model_args"].items())
        return ""

    def finish(self, runs: Path, checkpoint: Checkpoint, by: str) -> None:
        """Note that they are; `by`: what made them."""
        secrets = secrets_in(dict(self.model_args))
        told = {name: redact(str(value), secrets) for name, value in self.model_args.items()}
        about = {"step": checkpoint.step, "by": by, **asdict(self), "model_args": told}
        write_json(self.folder(runs, checkpoint) / DONE, about)
