"""Which model this is, whatever its folder is called and in whatever precision it was loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

VALUES = 16
"""So many values of each parameter are looked at."""


def fingerprint(model: Any) -> str:
    """SHA-256 over the names, shapes and some values of a torch model's parameters.

    Values are rounded to bfloat16, so that a checkpoint is the same in float32.
    """
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters(), key=lambda pair: pair[0]):
        values = parameter.detach().reshape(-1)
        some = values[:: max(1, len(values) // VALUES)][:VALUES]
        rounded = some.to(device="cpu", dtype=torch.bfloat16).view(torch.int16)
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(rounded.numpy().tobytes())
    return digest.hexdigest()


def of_tensors(tensors: Mapping[str, Any]) -> str:
    """SHA-256 over the names, shapes and all values of arrays, or of tensors on the CPU."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        values = np.asarray(tensor, dtype=np.float32)
        digest.update(f"{name} {values.shape}".encode())
        digest.update(values.tobytes())
    return digest.hexdigest()


def setting(lm: Any) -> str:
    """What log-likelihoods of a model of transformers depend on beside its weights."""
    dtype = next(lm.model.parameters()).dtype
    return f"{lm.backend} {dtype} {lm.max_length} {lm.prefix_token_id}"
