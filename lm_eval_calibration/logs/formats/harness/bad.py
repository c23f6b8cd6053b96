"""Lines that cannot be read: what is said of them."""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from lm_eval_calibration.errors import InvalidInputError

MALFORMED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""What reading a field raises if it holds something of another kind."""
P = ParamSpec("P")
T = TypeVar("T")


class BadLineError(InvalidInputError):
    """A line that cannot be read; the message says what is wrong and what to do."""


class OtherTypeError(BadLineError):
    """A document of a task that is not multiple choice."""


def malformed_is_bad(read: Callable[P, T]) -> Callable[P, T]:
    """Have a function that reads a line refuse whatever it stumbles over, as a bad line."""

    @wraps(read)
    def refusing(*given: P.args, **named: P.kwargs) -> T:
        try:
            return read(*given, **named)
        except BadLineError:
            raise
        except MALFORMED as error:
            raise BadLineError(
                f"a field holds what it must not ({type(error).__name__}: {error})"
            ) from error

    return refusing


def shown(value: Any) -> str:
    """A value for a message, in a line's length whatever it is."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    return " ".join(short.repr(value)[:120].encode("utf-8", "replace").decode().split())
