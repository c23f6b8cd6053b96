"""Which model this is, whatever its folder is called and in whatever precision it was loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from lm_eval_calibration.names import model_name, model_of_arguments

VALUES = 16
"""So many values of each parameter are looked at."""
NORMAL = 2.0**-14
"""The least value that float16 holds with all its digits."""


def fingerprint(model: Any) -> str:
    """Two SHA-256 over the names, shapes and some values of a torch model's weights: `one:other`.

    Weights are its parameters and, where quantised layers keep theirs in them, its buffers; an
    adapter's count. Values are rounded to bfloat16, in the second digest through float16, and there
    those that float16 holds with fewer digits are 0. Two models are the same if they have a digest
    in common (`calibrators.held_out.same_weights`): so a checkpoint is, in float32 and in bfloat16
    or float16, and one that was saved in half precision in all three.

    Returns:
        The digests, or "" where some weights are not in memory (offloaded to the disk).
    """
    exact, through_half = hashlib.sha256(), hashlib.sha256()
    for name, weight in sorted(_weights(model), key=lambda pair: pair[0]):
        if weight.is_meta:
            return ""
        values = weight.detach().reshape(-1)
        some = values[:: max(1, len(values) // VALUES)][:VALUES].cpu()
        half = some.half()
        half[half.abs() < NORMAL] = 0
        for digest, kept in ((exact, some), (through_half, half)):
            digest.update(f"{name} {tuple(weight.shape)}".encode())
            digest.update(kept.bfloat16().view(torch.int16).numpy().tobytes())
    return f"{exact.hexdigest()}:{through_half.hexdigest()}"


def stored_by(fingerprint: str) -> str:
    """The part of a fingerprint by which what was computed of a model is stored."""
    return fingerprint.partition(":")[0]


def _weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters, and the buffers that a checkpoint keeps, by name."""
    yield from model.named_parameters()
    for prefix, module in model.named_modules():
        for name, buffer in module.named_buffers(recurse=False):
            if name not in module._non_persistent_buffers_set:
                yield (
                    f"{prefix}.{name}",
                    torch.view_as_real(buffer) if buffer.is_complex() else buffer,
                )


def weights_of(lm: Any) -> str:
    """The fingerprint of a harness model's weights; "" where they are elsewhere, as a server's."""
    model = getattr(lm, "model", None)
    return fingerprint(model) if isinstance(model, torch.nn.Module) else ""


def name_of(lm: Any) -> str:
    """The name of a harness model, with its revision and adapter; "" where it has none."""
    arguments = getattr(lm, "model_args", None)
    if isinstance(arguments, dict):  # vLLM
        adapter = getattr(getattr(lm, "lora_request", None), "lora_path", "")
        return model_of_arguments({**arguments, "lora_local_path": adapter})
    model = getattr(lm, "model", None)
    candidates = (getattr(lm, "pretrained", None), model, getattr(model, "name_or_path", None))
    name = next((found for found in candidates if isinstance(found, str) and found), "")
    revision, adapter = (getattr(lm, attribute, None) for attribute in ("revision", "peft"))
    return model_name(name, str(revision or ""), str(adapter or ""))


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
