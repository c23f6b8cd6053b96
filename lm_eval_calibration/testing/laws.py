"""How a law is stated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from lm_eval_calibration.members import Members

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


def can_be_named(member: Any, wrong: str, members: Members[Any]) -> None:
    """Hold an object to what every member of a family is.

    Args:
        member: which claims to be one.
        wrong: why it is none; "" if it is one.
        members: the family.

    Raises:
        AssertionError: it is none, has the name of one of ours, or does not say in a line what it is.
    """
    holds(not wrong, wrong)
    holds(not members.taken(member), f"the name {member.name!r} is that of one of ours")
    holds(one_line(member.meaning), f"`meaning` must be one line, got {member.meaning!r}")


def one_line(text: object) -> bool:
    """Whether a text may stand in a list of members: a line of something, that does nothing."""
    return isinstance(text, str) and bool(text.strip()) and text.isprintable()
