"""Saved artifacts with something else in them, signed as if they had been saved so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

CONFIG, TENSORS = "config.json", "model.safetensors"


def sign(folder: Path) -> None:
    """Have `config.json` name the tensors that are there."""
    digest = hashlib.sha256((folder / TENSORS).read_bytes()).hexdigest()
    rewrite(folder / CONFIG, tensors_sha256=digest)


def rewrite(file: Path, **changes: Any) -> None:
    """Put other values into a JSON object's file."""
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def put(folder: Path, name: str, value: Any, file: str = TENSORS) -> None:
    """Put another tensor into an artifact; `None` takes it out."""
    kept = {k: v for k, v in load_file(folder / file).items() if k != name}
    new = {} if value is None else {name: np.ascontiguousarray(value).reshape(np.shape(value))}
    save_file({**kept, **new}, folder / file)
    if file == TENSORS:
        sign(folder)
