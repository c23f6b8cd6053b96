"""What the bits of a log-likelihood hang on beside the model's weights and the request."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import torch

from lm_eval_calibration.harness.requests import FINGERPRINT
from lm_eval_calibration.scoring.contract import device_of, dtype_of

LADDER = 2
"""Raised when passes are cut otherwise."""


def arithmetic(
    model: Any, pass_tokens: int, step_rows: int, precision: torch.dtype
) -> dict[str, Any]:
    """What computes: two runs of one model with equal ones have the same numbers to the bit.

    Args:
        model: of transformers.
        pass_tokens: tokens of a pass.
        step_rows: texts of a step.
        precision: of the log-softmax.
    """
    device = device_of(model)
    found = {
        "dtype": str(dtype_of(model)).removeprefix("torch."),
        "precision": str(precision).removeprefix("torch."),
        "attention": str(getattr(model.config, "_attn_implementation", "")),
        "device": _device(device),
        "threads": torch.get_num_threads() if device.type == "cpu" else 0,
        "tf32": bool(device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32),
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "pass_tokens": pass_tokens,
        "step_rows": step_rows,
        "ladder": LADDER,
    }
    return {**found, FINGERPRINT: fingerprint_of(found)}


def fingerprint_of(found: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits."""
    text = json.dumps({k: v for k, v in found.items() if k != FINGERPRINT}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else ""
    return " ".join(part for part in (device.type, platform.machine(), capability) if part)
