"""`--use_cache`: answers are kept as they come, so that a run that was killed goes on where it was."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.harness.api import CachingLM, hash_args
from lm_eval_calibration.harness.requests import LOGLIKELIHOOD
from lm_eval_calibration.models.shared.answers import checked
from lm_eval_calibration.models.shared.held_out import refuse_cache

Answer = tuple[float, bool]
Ask = Callable[[list[int]], Sequence[Answer]]


class Reported:
    """The harness's cache hook, whose failures are said in one line.

    Args:
        hook: what answers are told.
    """

    def __init__(self, hook: Any) -> None:
        self.hook, self.dbdict = hook, hook.dbdict
        self.hears_cuts = bool(getattr(hook, "hears_cuts", False))

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Keep an answer.

        Raises:
            CalibrationError: the cache cannot be written.
        """
        with _written(self.dbdict):
            self.hook.add_partial(attr, req, res)

    def add_all(self, attr: str, answers: Mapping[Any, Any]) -> None:
        """Keep several at a time, which takes a fraction of the time."""
        if self.dbdict is None:
            for req, res in answers.items():
                self.hook.add_partial(attr, req, res)
            return
        with _written(self.dbdict):
            self.dbdict.update({hash_args(attr, req): res for req, res in answers.items()})


class Computed:
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
        self._begun = self._key(())

    def known(self, requests: Sequence[Any]) -> dict[int, Any]:
        """What is kept of some requests' arguments, by their numbers."""
        if self.dbdict is None or self._begun not in self.dbdict:
            return {}
        found = ((n, self._read(self._key(request))) for n, request in enumerate(requests))
        return {number: answer for number, answer in found if answer is not None}

    def _read(self, key: str) -> Any:
        """A number, or a log-likelihood with its truth value; `None` for whatever else stands there."""
        try:
            found = self.dbdict.get(key)
            if isinstance(found, tuple):
                checked(LOGLIKELIHOOD, found)
            elif isinstance(found, bool) or not math.isfinite(found):
                return None
        except Exception:  # noqa: BLE001 - a damaged row is computed again
            return None
        return found

    def keep(self, answers: Mapping[Any, Any]) -> None:
        """Keep what was computed; NaN is not, for it may be another number next time.

        Raises:
            CalibrationError: the cache cannot be written.
        """
        values = {self._key(req): res for req, res in answers.items() if not _is_nan(res)}
        if self.dbdict is not None and values:
            with _written(self.dbdict):
                self.dbdict.update({self._begun: True, **values})

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by what computes the answers, `hf`."""
        self.keep({req: res})

    def add_all(self, attr: str, answers: Mapping[Any, Any]) -> None:
        """Likewise, `hf-fast`."""
        self.keep(answers)

    def _key(self, request: Any) -> str:
        return str(hash_args(self._name, request))


def _is_nan(answer: Any) -> bool:
    return math.isnan(answer[0] if isinstance(answer, tuple) else answer)


def report(hook: Any, kind: str, answers: Mapping[Any, Any]) -> None:
    """Tell a cache hook answers by their requests' arguments, at once where it takes several."""
    if hasattr(hook, "add_all"):
        hook.add_all(kind, answers)
        return
    for request, answer in answers.items():
        hook.add_partial(kind, request, answer)


def refuse_parts(hook: Any) -> None:
    """Stop `--use_cache` on a harness that hands over only requests that are not in the cache.

    Raises:
        CalibrationError: it does, for `harness.patches.patch_caching_lm` did not fit it.
    """
    if not getattr(CachingLM, "hands_over_all", False):
        refuse_cache(hook, "this harness hands over only documents that are not in the cache")


def completed(count: int, known: Mapping[int, Answer], ask: Ask) -> list[Answer]:
    """Answers to `count` requests: those that are known, and those that `ask` has of the others."""
    missing = [number for number in range(count) if number not in known]
    found = ask(missing) if missing else []
    answers = {**known, **dict(zip(missing, found, strict=True))}
    return [answers[number] for number in range(count)]


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
