"""Tensors and columns of data frames as arrays, of the same memory where that can be."""

from __future__ import annotations

from typing import Any

import numpy as np


def as_array(values: Any) -> Any:
    """An array of what has one to give; other values as they are.

    Tensors on a CPU are not copied, but where numpy lacks their type (bfloat16), which becomes float64;
    a tensor with a gradient is read without it.

    >>> as_array([0.5, 1])
    [0.5, 1]
    """
    if isinstance(values, np.ndarray):
        return values
    if hasattr(values, "detach"):
        tensor = values.detach().cpu()
        return (tensor.double() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return values.to_numpy() if hasattr(values, "to_numpy") else values
