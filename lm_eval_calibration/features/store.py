"""Features on disk: written once, part by part, so that a run that was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lm_eval_calibration.arguments import built
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.features.table import Features, check
from lm_eval_calibration.files import KEY, write_tensors
from lm_eval_calibration.json_text import loads
from lm_eval_calibration.names import file_name

FORMAT = 1
KINDS = {
    "hidden": (2, "float32"),
    "logits": (2, "float64"),
    "num_options": (1, "int64"),
    "gold": (2, "bool"),
    "documents": (1, "uint64"),
}
"""Of each array of `Features` its dimensions and type, in the constructor's order."""
TENSORS = tuple(KINDS)


@dataclass(frozen=True)
class Key:
    """What a part of a task's features depends on.

    Attributes:
        model: the model's fingerprint.
        revision: of the checkpoint, or "".
        dtype: in which the model computes.
        task: name in the harness.
        split: of the data set.
        prompts: SHA-256 of all prompts and options of the part.
    """

    model: str
    revision: str
    dtype: str
    task: str
    split: str
    prompts: str

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that stand for the key."""
        text = json.dumps([FORMAT, *asdict(self).values()])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class FeatureStore:
    """A folder with a folder for each task, in which each part is one safetensors file.

    Two processes may write to it at once: a part appears whole or not at all.
    """

    folder: Path

    def path(self, key: Key) -> Path:
        """Where the part of `key` is or will be."""
        task = file_name(re.sub(r"[^\w.-]+", "_", key.task))
        split = re.sub(r"[^a-z0-9]+", "_", key.split)[:60]
        return self.folder / task / f"{split}-{key.digest}.safetensors"

    def stored(self) -> Iterator[tuple[Key, Features]]:
        """Every part that is there, in the order of their names.

        Raises:
            InvalidInputError: a file is damaged.
        """
        for path in sorted(self.folder.rglob("*.safetensors")):
            key, features = _read(path)
            yield key, features

    def get(self, key: Key) -> Features | None:
        """The part of `key`, if it is there.

        Raises:
            InvalidInputError: the file is damaged, or of another key.
        """
        path = self.path(key)
        if not path.exists():
            return None
        found, features = _read(path)
        if found != key:
            raise InvalidInputError(
                f"`{path}` is the part of another key. Delete it to have it made anew."
            )
        return features

    def put(self, key: Key, features: Features) -> None:
        """Write the part of `key`."""
        path = self.path(key)
        about = {"key": asdict(key), "task": features.task}
        tensors = {name: np.ascontiguousarray(getattr(features, name)) for name in TENSORS}
        write_tensors(path, save_file, tensors, {KEY: json.dumps(about)})


def _read(path: Path) -> tuple[Key, Features]:
    try:
        with safe_open(path, "np") as file:
            about = loads(file.metadata()[KEY])
            tensors = {name: file.get_tensor(name) for name in TENSORS}
        return built(Key, about["key"]), check(_features(about["task"], tensors))
    except (SafetensorError, LookupError, TypeError, ValueError, AttributeError, OSError) as error:
        raise InvalidInputError(
            f"`{path}` is no part of a feature store ({error}). Delete it to have it made anew."
        ) from error


def _features(task: Any, tensors: dict[str, Any]) -> Features:
    kinds = {name: (values.ndim, values.dtype.name) for name, values in tensors.items()}
    if not isinstance(task, str) or kinds != KINDS:
        raise ValueError(f"task {task!r}, tensors of {kinds}")
    shapes = {name: values.shape for name, values in tensors.items()}
    if len({shape[0] for shape in shapes.values()}) != 1 or shapes["gold"] != shapes["logits"]:
        raise ValueError(f"shapes {shapes}")
    count, real = tensors["num_options"], np.arange(shapes["logits"][1])
    if not ((count >= 1) & (count <= len(real))).all():
        raise ValueError(
            f"documents of {count.min()} to {count.max()} options in {len(real)} columns"
        )
    beyond = real >= count[:, None]
    if (tensors["logits"][beyond] != -np.inf).any() or tensors["gold"][beyond].any():
        raise ValueError("options beyond a document's number of them")
    return Features(task, *(tensors[name] for name in TENSORS))
