"""What an answer key means: the one rule of twins and of those who read their logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval_calibration.errors import InvalidInputError

NO_GOLD = -100
"""What the harness writes for an answer key that points outside the options."""


def indices_of(key: Any, options: Sequence[str]) -> list[int]:
    """Indices of the right options, as the harness's `acc` has them; empty if the key names none.

    Args:
        key: an option's index or its text, or a list of them.
        options: the document's, in order.

    Raises:
        InvalidInputError: it is something else.

    >>> indices_of("b", ["a", "b"]), indices_of([0, 9], ["a", "b"]), indices_of("1", ["a", "b"])
    ([1], [0], [])
    """
    keys = key if isinstance(key, list) else [key]
    return [i for i in (_index(k, options) for k in keys) if 0 <= i < len(options)]


def _index(key: Any, options: Sequence[str]) -> int:
    if isinstance(key, str):
        return options.index(key) if key in options else NO_GOLD
    try:
        return int(key) if int(key) == key else NO_GOLD
    except (TypeError, ValueError, OverflowError):
        raise InvalidInputError(
            f"The answer key {key!r} is neither an option's index nor its text. "
            "Check `doc_to_target` of this task."
        ) from None
