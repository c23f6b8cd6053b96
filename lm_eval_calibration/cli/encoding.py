"""What a terminal's encoding cannot hold, in characters that every encoding has."""

from __future__ import annotations

import codecs
import sys
from io import TextIOWrapper

NAME = "lm-calib"
ASCII = {
    "↑": "^",
    "↓": "v",
    "∞": "inf",
    "…": "...",
    "·": "-",
    "±": "+/-",
    "≤": "<=",
    "≥": ">=",
    "Σ": "sum",
}
"""Signs that we print; whatever else a name may hold becomes an escape."""


def replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """The error handler: as `codecs.register_error` has it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    if all(sign in ASCII for sign in signs):
        return "".join(ASCII[sign] for sign in signs), error.end
    return codecs.backslashreplace_errors(error)


def tolerant() -> None:
    """Have the standard streams print anything, in whatever encoding they are."""
    codecs.register_error(NAME, replaced)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=NAME)
