"""The checkpoints in a folder of `transformers.Trainer`, in their order."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.json_text import InvalidJSONError, read_object

FOLDER = re.compile(r"checkpoint-(\d+)")
ADAPTER, CONFIG, STATE = "adapter_config.json", "config.json", "trainer_state.json"
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")
WEIGHTS = (".safetensors", ".bin")
PIECE = 2**20
"""Bytes at each of three places of a file by which weights are told apart."""


@dataclass(frozen=True)
class Checkpoint:
    """What was saved at a step.

    Attributes:
        step: of the training.
        folder: where; of the model before training `None`.
        base: of an adapter the model that it is for; "" of a whole model.
        tokenizer: whether one was saved with it.
    """

    step: int
    folder: Path | None
    base: str = ""
    tokenizer: bool = True

    @property
    def name(self) -> str:
        """For tables and folders."""
        return "base" if self.folder is None else f"checkpoint-{self.step}"

    @property
    def model_args(self) -> dict[str, str]:
        """How `lm_eval` is told of it."""
        if self.folder is None:
            return {"pretrained": self.base}
        if self.base:
            return {"pretrained": self.base, "peft": str(self.folder)}
        return {"pretrained": str(self.folder)}

    def digest(self) -> str:
        """Of its weights, by their files' sizes and parts: other weights are another checkpoint."""
        found = hashlib.sha256(self.base.encode())
        for path in sorted(self._weights()):
            size = path.stat().st_size
            found.update(f"{path.name}:{size}:".encode())
            with path.open("rb") as file:
                for place in (0, size // 2, max(size - PIECE, 0)):
                    file.seek(place)
                    found.update(file.read(PIECE))
        return found.hexdigest()

    def _weights(self) -> Iterator[Path]:
        if self.folder is not None:
            for path in self.folder.iterdir():
                if path.suffix in WEIGHTS and "optimizer" not in path.name:
                    yield path


def checkpoints_in(
    folder: str | Path, with_base: bool = False
) -> tuple[list[Checkpoint], list[str]]:
    """Whole checkpoints by step, and the names of those that are not whole (yet).

    Args:
        folder: the `output_dir` of a training.
        with_base: whether the model before training goes first; of adapters alone.

    Raises:
        InvalidInputError: there is no such folder, or no checkpoint in it.
    """
    path = Path(folder)
    if not path.is_dir():
        raise invalid("DIR", "the output folder of a training", f"`{folder}`, which is no folder")
    steps = sorted(
        (int(match[1]), each)
        for each in path.iterdir()
        if (match := FOLDER.fullmatch(each.name)) and each.is_dir()
    )
    said_so = any((each / STATE).is_file() for _, each in steps)
    read = [(each.name, _read(step, each, said_so)) for step, each in steps]
    found = [checkpoint for _, checkpoint in read if checkpoint is not None]
    partial = [name for name, checkpoint in read if checkpoint is None]
    if not found:
        there = f"not whole: {', '.join(partial)}" if partial else "no folder of such a name"
        raise invalid(
            "DIR", "a folder with whole checkpoint-N folders in it", f"`{folder}` ({there})"
        )
    if with_base:
        bases = {each.base for each in found}
        if bases == {""} or len(bases) > 1:
            raise InvalidInputError(
                "--base needs adapters of one model; of whole models give its own run to "
                "`lm-calib compare`."
            )
        found = [Checkpoint(0, None, found[0].base), *found]
    return found, partial


def _read(step: int, folder: Path, said_so: bool) -> Checkpoint | None:
    """`None` of one that is being written: the trainer's state comes last."""
    weights = any(each.suffix in WEIGHTS for each in folder.iterdir())
    if not weights or (said_so and not (folder / STATE).is_file()):
        return None
    tokenizer = any((folder / name).is_file() for name in TOKENIZERS)
    if (folder / ADAPTER).is_file():
        try:
            base = str(read_object(folder / ADAPTER).get("base_model_name_or_path") or "")
        except InvalidJSONError:
            return None
        return Checkpoint(step, folder, base, tokenizer)
    return Checkpoint(step, folder, "", tokenizer) if (folder / CONFIG).is_file() else None
