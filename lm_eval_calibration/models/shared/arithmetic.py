"""What the bits of a log-likelihood hang on beside the model's weights and the request."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lm_eval_calibration.harness.requests import FINGERPRINT
from lm_eval_calibration.scoring.contract import device_of, dtype_of

LADDER = 3
"""Raised when passes are cut otherwise."""


KIND = ("vendor_id", "model name", "cpu family", "model", "stepping", "CPU implementer", "CPU part")
VECTORS = re.compile(r"avx|amx|fma|f16c|sse|asimd|sve|sme(?!p)|bf16|i8mm|vsx")
"""What the names of vector instructions begin with."""
CHOOSING = (
    "ATEN_CPU_CAPABILITY", "CUBLAS_WORKSPACE_CONFIG", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS", "NVIDIA_TF32_OVERRIDE", "ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)  # fmt: skip
"""Variables of the environment by which other kernels are chosen."""


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
        **(processor() if device.type == "cpu" else {}),
        "threads": torch.get_num_threads() if device.type == "cpu" else 0,
        "tf32": bool(device.type == "cuda" and torch.backends.cuda.matmul.allow_tf32),
        "matmul": torch.get_float32_matmul_precision(),
        "kernels": {name: os.environ[name] for name in CHOOSING if name in os.environ},
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "pass_tokens": pass_tokens,
        "step_rows": step_rows,
        "ladder": LADDER,
    }
    return {**found, FINGERPRINT: fingerprint_of(found)}


def processor(described: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """What libraries choose a CPU's kernels by: its kind, and its vector instructions.

    Args:
        described: where Linux says it; elsewhere the platform's own word is taken.
    """
    try:
        lines = described.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return {"processor": platform.processor()}
    said = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    kind = [said[name] for name in KIND if name in said]
    flags = (said.get("flags") or said.get("Features") or "").split()
    vectors = sorted(flag for flag in flags if VECTORS.match(flag))
    return {"processor": ", ".join(kind), "instructions": " ".join(vectors)}


def fingerprint_of(found: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits."""
    text = json.dumps({k: v for k, v in found.items() if k != FINGERPRINT}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    capability = torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else ""
    return " ".join(part for part in (device.type, platform.machine(), capability) if part)
