"""How many rows are written at a time."""

from __future__ import annotations

import psutil
import torch

ROWS, DEVICE_ROWS = 64, 256
"""At most, on a CPU and elsewhere: beyond, a step costs as much more as it brings."""
SHARE = 0.5
"""Of the memory that is free."""


def affordable(each: int, device: torch.device, bound: int | None = None) -> int:
    """Rows that memory has room for; one at least.

    Args:
        each: bytes that a row takes.
        device: where.
        bound: at most.
    """
    most = ROWS if device.type == "cpu" else DEVICE_ROWS
    fitting = int(SHARE * free_bytes(device)) // max(each, 1)
    return max(1, min(most if bound is None else bound, fitting))


def free_bytes(device: torch.device) -> int:
    """Of a CUDA device, with what torch holds there unused; else of the machine."""
    if device.type != "cuda":
        return int(psutil.virtual_memory().available)
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + unused)
