"""A phase's requests, and what the base has answered so far."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.api import hash_args
from lm_eval_calibration.models.shared.answers import (
    GENERATE,
    UnusableError,
    checked,
    unanswered,
)
from lm_eval_calibration.models.shared.kept import Kept
from lm_eval_calibration.models.shared.reply import Failed


class Pending:
    """A phase's requests, and their answers so far, kept in the cache as they come."""

    hears_cuts = True

    def __init__(
        self,
        kind: str,
        requests: Sequence[Any],
        keys: Sequence[str | None],
        answers: dict[int, Any],
        cache: Kept | None,
        tolerant: bool,
        options: dict[str, Any],
    ) -> None:
        self.kind, self.requests, self.keys = kind, requests, keys
        self.answers, self.cache, self.tolerant = answers, cache, tolerant
        self.options = options
        self.dbdict = None  # (as a hook of the harness has it)
        self._waiting: dict[str, list[int]] = {}
        self._unusable: dict[int, str] = {}

    def take(self, piece: list[int], found: Sequence[Any]) -> None:
        """Take the base's answers to a piece; those that it has reported already are known.

        Raises:
            InvalidInputError: others than were asked for; or a log-likelihood that is none.
        """
        left = [i for i in piece if i not in self.answers and i not in self._unusable]
        if left and len(found) != len(piece):
            raise InvalidInputError(
                f"The base gave {len(found):,} answers to {len(piece):,} requests."
            )
        for i, answer in zip(piece, found, strict=False):
            if i in left:
                self.keep(i, answer)
        for i, why in self._unusable.items():
            if self.kind != GENERATE:
                raise unanswered(self.requests[i], why)
            self.answers[i] = Failed(why)
        self._unusable = {}

    def keep(self, i: int, answer: Any) -> None:
        """Take an answer, if it is one."""
        try:
            value = checked(self.kind, answer)
        except UnusableError as error:
            self._unusable[i] = str(error)
            return
        self._unusable.pop(i, None)
        self.answers[i] = value if self.kind == GENERATE else answer
        key = self.keys[i]
        if self.cache is not None and key is not None:
            self.cache.put(key, value)

    @contextlib.contextmanager
    def listening(self, base: Any, piece: list[int]) -> Iterator[None]:
        """Be the base's cache hook, to which most models report each answer at once."""
        self._waiting, self._unusable = {}, {}
        for i in piece:
            key = hash_args(self.kind, self.requests[i].args)
            self._waiting.setdefault(key, []).append(i)
        before = getattr(base, "cache_hook", None)
        base.set_cache_hook(self)
        try:
            yield
        finally:
            if before is not None:
                base.set_cache_hook(before)

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by the base with each answer; those to equal requests are told apart by order."""
        waiting = self._waiting.get(hash_args(attr, req)) if attr == self.kind else None
        if waiting:
            self.keep(waiting.pop(0), res)
