"""Errors that pass through, without the secrets that they would tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from lm_eval_calibration.redact.values import redact


@contextmanager
def hiding(known: Iterable[str] = ()) -> Iterator[None]:
    """Whatever is raised inside says what it says, and those that led to it, without secrets."""
    try:
        yield
    except Exception as error:
        clean(error, known)
        raise


def clean(error: BaseException, known: Iterable[str] = ()) -> None:
    """Take the secrets out of an error's texts, and of those that led to it."""
    known, done = frozenset(known), set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in done:
            continue
        done.add(id(each))
        each.args = redact(each.args, known)
        for name in ("message", "strerror", "filename", "msg"):  # shown instead, by some
            text = getattr(each, name, None)
            if isinstance(text, str):
                with suppress(AttributeError, TypeError):
                    setattr(each, name, redact(text, known))
        waiting += [each.__cause__, each.__context__]
