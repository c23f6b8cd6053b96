"""The exception tree, and the phrasing that every error of the package shares.

CalibrationError
├── InvalidInputError (also a ValueError)
│   └── UnknownNameError
├── HarnessError
├── OutputError (also an OSError)
└── MissingExtraError (also an ImportError)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from lm_eval_calibration.texts import printable

FEW_NAMES = 24
"""More known names are listed only where none is near."""
_BEGINNING, _END = 1500, 400
"""Characters of a longer message that are shown: what came may be longer than what is said of it."""


class CalibrationError(Exception):
    """Base of every error that this package raises on purpose.

    Its message is one line, whatever the names and texts of others that it quotes, and tells no
    secret.
    """

    def __init__(self, *args: object) -> None:
        from lm_eval_calibration.redact import redact  # (where there is an error, there is time)

        super().__init__(*redact(args))

    def __str__(self) -> str:
        text = printable(super().__str__())
        if len(text) <= _BEGINNING + _END:
            return text
        return f"{text[:_BEGINNING]} ... {text[-_END:]}"


class InvalidInputError(CalibrationError, ValueError):
    """An argument, a file or a model response is not what it must be."""


class RefusedByServerError(InvalidInputError):
    """A server that refuses every request, whatever it asks."""


class UnknownNameError(InvalidInputError):
    """A name (metric, option, task) that nothing answers to."""


class HarnessError(CalibrationError):
    """The installed harness is none that this package knows."""


class OutputError(CalibrationError, OSError):
    """A file or a folder cannot be written, or what stands there is not ours to replace."""


class MissingExtraError(CalibrationError, ImportError):
    """A feature needs an optional dependency that is not installed."""


def invalid(argument: str, expected: str, got: object, hint: str = "") -> InvalidInputError:
    """Build the error for a bad `argument`: what was expected, what came, what to do."""
    advice = f" {hint}" if hint else ""
    return InvalidInputError(f"`{argument}` must be {expected}, got {got}.{advice}")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Build the error for an unknown `name`: near names first, then the list, if nothing is near or it is short."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    suggestion = f" Did you mean {' or '.join(f'`{n}`' for n in near)}?" if near else ""
    listed = "" if near and len(names) > FEW_NAMES else f" Known: {', '.join(names)}."
    return UnknownNameError(f"Unknown {kind} `{name}`.{suggestion}{listed}")
