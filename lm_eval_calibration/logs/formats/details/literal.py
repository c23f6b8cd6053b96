"""Values that were written as Python's text of them: what lighteval did until 0.7."""

from __future__ import annotations

import ast
import re
from typing import Any

from lm_eval_calibration.logs.formats.harness.bad import BadLineError, shown

_QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_WORDS = re.compile(rf"({_QUOTED})|np\.\w+\(([^()]*)\)|\b(nan|inf)\b")
INFINITE = "1e999"


def value_of(cell: Any) -> Any:
    """What a cell holds: itself, or what its text says.

    Numbers of numpy are numbers, `inf` is infinite and `nan` is nothing, outside of texts.

    Raises:
        BadLineError: the text is no value of Python's.

    >>> value_of("[(-1.5, False), (-inf, True)]"), value_of([1, 2])
    ([(-1.5, False), (-inf, True)], [1, 2])
    """
    if not isinstance(cell, str):
        return cell
    try:
        return ast.literal_eval(_WORDS.sub(_plain, cell))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise BadLineError(f"{shown(cell)} is no value that can be read") from None


def _plain(match: re.Match[str]) -> str:
    if match[1] is not None:
        return match[1]
    inside = match[3] if match[3] is not None else match[2]
    return {"nan": "None", "inf": INFINITE, "-inf": f"-{INFINITE}"}.get(inside, inside)
