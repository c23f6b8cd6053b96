"""A reply to the wish for a whole number from 0 to 100: the probability that it names."""

from __future__ import annotations

import re

from lm_eval_calibration.verbal.numbers import PATTERN, Number, read_number

_WRITTEN = re.compile(
    rf"(?<![\w.,])(?:{PATTERN})(?:\s?(?:%|percent|per cent|pct)|\s?/\s?\d+|\s+out\s+of\s+\d+)?(?![\d])",
    re.IGNORECASE,
)
_DECIMAL = re.compile(r"\d?[.,]\d")
_OUT_OF = re.compile(r"\s+out\s+of\s+", re.IGNORECASE)


def read_per_cent(words: str) -> float | None:
    """The probability; `None` where the words name none, or several.

    The first line with a number counts. A percentage goes before other numbers of its line; "9/10", "9 out
    of 10", "0.9" and "0,9" are read as what they mean, and "90" as a percentage; what is below 0 or above
    all is none.

    >>> [read_per_cent(text) for text in ("85%", "about 7", "0.9", "0,8", "9/10", "9 out of 10", "1.0", "1")]
    [0.85, 0.07, 0.9, 0.8, 0.9, 0.9, 1.0, 0.01]
    >>> [read_per_cent(text) for text in ("I cannot say", "850", "-5", '{"A": 0.28, "B": 0.72}')]
    [None, None, None, None]
    """
    for line in words.splitlines():
        found = [
            (written, read_number(_OUT_OF.sub("/", written))) for written in _WRITTEN.findall(line)
        ]
        if found:
            percentages = [
                (w, number) for w, number in found if number is not None and number.percent
            ]
            values = {_value(*each) for each in percentages or found}
            return values.pop() if len(values) == 1 else None
    return None


def _value(written: str, number: Number | None) -> float | None:
    """As a probability: what is no percentage, fraction or decimal up to 1 is in per cent."""
    if number is None:
        return None
    decimal = _DECIMAL.search(written) is not None and number.value <= 1
    as_it_is = number.percent or number.repair == "fraction" or decimal
    value = number.value if as_it_is else number.value / 100
    return value if 0 <= value <= 1 else None
