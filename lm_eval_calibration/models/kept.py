"""`--use_cache`: answers are kept as they come, so that a run that was killed goes on where it was."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lm_eval.api.model import hash_args

from lm_eval_calibration.errors import CalibrationError

Answer = tuple[float, bool]
Ask = Callable[[list[Any]], list[Answer]]


class Reported:
    """The harness's cache hook, whose failures are said in one line.

    Args:
        hook: what answers are told.
    """

    def __init__(self, hook: Any) -> None:
        self.hook, self.dbdict = hook, hook.dbdict

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Keep an answer.

        Raises:
            CalibrationError: the cache cannot be written.
        """
        with _written(self.dbdict):
            self.hook.add_partial(attr, req, res)


class Kept:
    """Answers to requests in the harness's cache, under a name of our own.

    For models that say something else than what they compute of a request: what is computed is
    kept, and what is said is made of it anew. A cache hook of what computes it.

    Args:
        cache: the harness's, a mapping, or `None`: then nothing is kept or known.
        name: all that an answer depends on beside its request.
    """

    def __init__(self, cache: Any, *name: object) -> None:
        self.dbdict = cache
        self._name = " ".join(map(str, name))

    def known(self, requests: Sequence[Any]) -> dict[int, Any]:
        """What is kept of some requests' arguments, by their numbers."""
        if self.dbdict is None:
            return {}
        found = ((n, self.dbdict.get(self._key(request))) for n, request in enumerate(requests))
        return {number: answer for number, answer in found if answer is not None}

    def keep(self, request: Any, answer: Any) -> None:
        """Keep what was computed; NaN is not, for it may be another number next time.

        Raises:
            CalibrationError: the cache cannot be written.
        """
        value = answer[0] if isinstance(answer, tuple) else answer
        if self.dbdict is not None and value == value:
            with _written(self.dbdict):
                self.dbdict[self._key(request)] = answer

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by what computes the answers."""
        self.keep(req, res)

    def _key(self, request: Any) -> str:
        return str(hash_args(self._name, request))


def completed(requests: Sequence[Any], known: dict[int, Any], ask: Ask) -> list[Answer]:
    """Answers to all requests: those that are known, and the others' as `ask` has them."""
    missing = [number for number in range(len(requests)) if number not in known]
    found = ask([requests[number] for number in missing]) if missing else []
    answers = {**known, **dict(zip(missing, found, strict=True))}
    return [answers[number] for number in range(len(requests))]


@contextlib.contextmanager
def reporting_to(lm: Any, hook: Any) -> Iterator[None]:
    """Have a model of the harness report its answers to `hook` alone."""
    before = lm.cache_hook
    lm.cache_hook = hook
    try:
        yield
    finally:
        lm.cache_hook = before


@contextlib.contextmanager
def _written(cache: Any) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        name = getattr(cache, "filename", "the cache")
        raise CalibrationError(
            f"`--use_cache`: {name} cannot be written ({error}). What was answered before is in it: "
            "once that is mended, the same command goes on from there."
        ) from None
