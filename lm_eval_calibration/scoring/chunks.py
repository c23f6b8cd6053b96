"""Shorter chunks for state-space layers on a CPU, where short inputs would be padded to long ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LEAST, MOST = 16, 64


@contextmanager
def short_chunks(model: Any, length: int) -> Iterator[None]:
    """Inside, Mamba-2's scan goes through inputs of `length` in chunks of about so many tokens.

    Its result is the same for every size of chunk (Dao and Gu, 2024, section 6), its cost on a CPU
    is that of whole chunks, and grows with their squares. Elsewhere kernels choose.
    """
    size = min(max(1 << (length - 1).bit_length(), LEAST), MOST)
    changed = {
        module: module.chunk_size
        for module in model.modules()
        if _scans(module) and module.chunk_size > size and module.conv1d.weight.device.type == "cpu"
    }
    try:
        for module in changed:
            module.chunk_size = size
        yield
    finally:
        for module, before in changed.items():
            module.chunk_size = before


def _scans(module: Any) -> bool:
    return isinstance(getattr(module, "chunk_size", None), int) and hasattr(module, "conv1d")
