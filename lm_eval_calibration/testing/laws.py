"""How a law is stated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def holds(condition: object, law: str) -> None:
    """Say which law is broken, if it is.

    Raises:
        AssertionError: the condition does not hold.
    """
    if not condition:
        raise AssertionError(law)


def law(check: Callable[P, T]) -> Callable[P, T]:
    """A check that ends well or in an `AssertionError`.

    Of whatever else is raised, or warned of, it is the law in the first line of the check's docstring
    that is broken.
    """
    stated = (check.__doc__ or "").partition("\n")[0].removesuffix(".")

    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                return check(*args, **kwargs)
        except (AssertionError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise AssertionError(f"{stated}. Got {type(error).__name__}: {error}") from error

    checked.__doc__ = check.__doc__
    return checked


def one_line(text: object) -> bool:
    """Whether a text may stand in a list of members: a line of something, that does nothing."""
    return isinstance(text, str) and bool(text.strip()) and text.isprintable()
