"""Probabilities as people and models write them: "0.7", "70%", "0,7", "7/10", ".7/1", "70 percent"."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

PATTERN = r"[-+]?(?:\d+(?:[.,]\d+)?|[.,]\d+)(?:[eE][-+]?\d+)?"
_WRITTEN = re.compile(
    rf"(?P<sign>[<>≈~=]{{0,2}})\s?(?P<number>{PATTERN})"
    rf"(?:\s?(?P<percent>%|percent|per cent|pct)|\s?/\s?(?P<whole>\d+(?:[.,]\d+)?))?",
    re.IGNORECASE,
)


class Number(NamedTuple):
    """What was written: the value as a number, and how it was written where that is unusual.

    value: a percentage or a fraction is divided already; percent: whether it was a percentage.
    """

    value: float
    percent: bool = False
    repair: str = ""


def read_number(written: Any) -> Number | None:
    """A number of JSON or of text; `None` where it is none.

    >>> read_number("70%").value, read_number("0,7").value, read_number("7/10").value
    (0.7, 0.7, 0.7)
    >>> read_number("about half") is None, read_number(True) is None
    (True, True)
    """
    if isinstance(written, bool):
        return None
    if isinstance(written, (int, float)):
        try:
            return Number(float(written))
        except OverflowError:
            return Number(math.inf)
    if not isinstance(written, str):
        return None
    match = _WRITTEN.fullmatch(" ".join(written.split()))
    if match is None:
        return None
    value = _float(match["number"])
    if match["percent"]:
        return Number(value / 100, True, "percent sign")
    if match["whole"]:
        whole = _float(match["whole"])
        return Number(value / whole if whole else math.nan, False, "fraction")
    return Number(value, False, "decimal comma" if "," in match["number"] else "text for a number")


def _float(text: str) -> float:
    return float(text.replace(",", "."))
