"""Checks of what an artifact's files hold, which anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.errors import invalid

MOST_DOCUMENTS = 2**53
"""More documents than there are."""
LARGEST_PARAMETER = 1e100
"""Parameters without bounds of their own are below it, so that no map of theirs overflows."""
ROUNDING = 1e-6
"""By so much, of its size, a value may be beyond its bounds: float32 is coarser than they are."""
Shape = tuple[int | None, ...]


def named(parameters: Mapping[str, Any], *names: str) -> None:
    """Refuse parameters that are not those of the names.

    Raises:
        InvalidInputError: one is missing, or one more.
    """
    if set(parameters) != set(names):
        raise invalid("parameters", " and ".join(names), ", ".join(sorted(parameters)) or "none")


def bounded(
    parameters: Mapping[str, NDArray[Any]],
    name: str,
    shape: Shape = (),
    low: float = -LARGEST_PARAMETER,
    high: float = LARGEST_PARAMETER,
) -> NDArray[Any]:
    """The numbers of a name.

    Args:
        parameters: arrays by name.
        name: of the array.
        shape: that it has; `None` for any size from 1 on.
        low: the lowest value it may have.
        high: the highest.

    Raises:
        InvalidInputError: it is missing, of another shape or type, or a number is outside the range.
    """
    if name not in parameters:
        raise invalid("parameters", f"with `{name}`", ", ".join(sorted(parameters)) or "none")
    found = parameters[name]
    fits = len(found.shape) == len(shape) and all(
        size > 0 if wanted is None else size == wanted
        for size, wanted in zip(found.shape, shape, strict=True)
    )
    if not fits:
        sizes = ", ".join("any" if size is None else str(size) for size in shape)
        expected = f"of shape ({sizes}{',' * (len(shape) == 1)})" if shape else "one number"
        raise invalid(name, expected, f"shape {found.shape}")
    if found.dtype.kind != "f":
        raise invalid(name, "of floating-point numbers", f"{found.dtype}")
    values = found.astype(np.float64)  # float32 cannot hold every bound
    inside = (values >= low - ROUNDING * abs(low)) & (values <= high + ROUNDING * abs(high))
    if not inside.all():
        raise invalid(name, f"from {low:g} to {high:g}", f"{values[~inside][0]:g}")
    return found


def finite(arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse arrays that are not floating-point numbers, each of them finite.

    Raises:
        InvalidInputError: with the array's name.
    """
    for name, values in arrays.items():
        if values.dtype.kind != "f":
            raise invalid(name, "of floating-point numbers", f"{values.dtype}")
        if not np.isfinite(values).all():
            raise invalid(name, "finite", "NaN or infinity")


def counts(told: Any) -> dict[str, int]:
    """Documents by task, as a file has them.

    Raises:
        InvalidInputError: no object of whole numbers from 0 on.
    """
    if not isinstance(told, dict):
        raise invalid("tasks", "an object of tasks and counts", repr(told)[:80])
    for task, count in told.items():
        if type(count) is not int or not 0 <= count < MOST_DOCUMENTS:
            raise invalid(f"tasks[{task}]", "a whole number from 0 on", repr(count)[:80])
    return told


def hashes(documents: NDArray[Any]) -> NDArray[np.uint64]:
    """(N,) first halves of documents' hashes.

    Raises:
        InvalidInputError: another shape, or another type.
    """
    if documents.ndim != 1 or documents.dtype != np.uint64:
        raise invalid(
            "documents", "a row of uint64", f"shape {documents.shape} of {documents.dtype}"
        )
    return documents


def text(told: Mapping[str, Any], name: str) -> str:
    """A text of a file.

    Raises:
        InvalidInputError: it is something else.
    """
    if not isinstance(told[name], str):
        raise invalid(name, "a text", repr(told[name])[:80])
    return told[name]


def why(error: Exception) -> str:
    """An error in the words that follow the name of the file that it is about."""
    known = isinstance(error, ValueError) and type(error).__module__.startswith(
        "lm_eval_calibration"
    )
    return str(error).removesuffix(".") if known else f"{type(error).__name__}: {error}"
