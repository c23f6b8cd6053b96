"""Many requests to a base model in named phases: batched, cached piece by piece, samples told apart."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import hash_args

from lm_eval_calibration.messages import logger

log = logger(f"lm_eval.{__name__}")

PIECE = 256
"""Requests that are asked at a time where there is a cache: what a kill may cost."""
GIVE_UP = 3
"""Requests in a row on which the base gives up, before the run does."""
SEEDED = ("TemplateAPI", "VLLM", "SGLangLM")
"""Models to which a sample's seed must be told, for they would give equal samples else."""


class Failed(str):
    """No answer: the base gave up on a request, and `reason` says why.

    An empty text for whoever reads answers.
    """

    reason: str

    def __new__(cls, reason: str) -> Failed:
        """An empty text with a reason."""
        found = super().__new__(cls, "")
        found.reason = reason
        return found


class Phases:
    """The base of a wrapper, asked in phases.

    Answers are kept as they come, where the base reports them one by one, so that neither a kill
    nor a failure loses one that was paid for.

    Args:
        base: a model of the harness.
        name: the wrapper's, for the log.
    """

    def __init__(self, base: Any, name: str) -> None:
        self.base, self.name = base, name
        self.cache: Any = None
        self.seeded = any(cls.__name__ in SEEDED for cls in type(base).__mro__)
        self._in_a_row = 0

    def samples(
        self,
        requests: Sequence[Any],
        count: int,
        temperature: float,
        title: str,
        tolerant: bool = False,
    ) -> list[list[str]]:
        """`count` answers to each request, sampled at a temperature; greedy at 0.

        Args:
            requests: what is asked.
            count: how often.
            temperature: at which.
            title: of the phase, for the log.
            tolerant: whether a request on which the base gives up (after retries of its own) is
                answered by `Failed`; else its error ends the run. Three in a row always do.
        """
        clones = [
            (self._sampled(request, number, temperature), number)
            for request in requests
            for number in range(count)
        ]
        numbers = [number for _, number in clones]
        found = self._ask("generate_until", [c for c, _ in clones], title, numbers, tolerant)
        return [found[i : i + count] for i in range(0, len(found), count)]

    def generate(self, requests: Sequence[Any], title: str) -> list[str]:
        """Answers to generation requests, from the cache where they are in it."""
        return list(self._ask("generate_until", requests, title))

    def loglikelihood(self, requests: Sequence[Any], title: str) -> list[tuple[float, bool]]:
        """Log-likelihoods, likewise."""
        return [(float(v), bool(g)) for v, g in self._ask("loglikelihood", requests, title)]

    def _ask(
        self,
        kind: str,
        requests: Sequence[Any],
        title: str,
        samples: Sequence[int] | None = None,
        tolerant: bool = False,
    ) -> list[Any]:
        if not requests:
            return []
        log.info("%s: %s (%d requests)", self.name, title, len(requests))
        numbers = samples or [0] * len(requests)
        keys = [
            hash_args(f"{kind}:{number}", request.args)
            for request, number in zip(requests, numbers, strict=True)
        ]
        answers: dict[int, Any] = {}
        if self.cache is not None:
            answers = {i: self.cache[key] for i, key in enumerate(keys) if key in self.cache}
        missing = [i for i in range(len(keys)) if i not in answers]
        pending = _Pending(kind, requests, keys, answers, self.cache, tolerant)
        size = len(missing) if self.cache is None else PIECE
        for start in range(0, len(missing), max(size, 1)):
            piece = missing[start : start + size]
            if len(piece) < len(requests):
                end = f"{start + len(piece):,} of {len(missing):,}"
                log.info("%s: %s, %d to %s", self.name, title, start + 1, end)
            self._answer(pending, piece)
        return [answers[i] for i in range(len(keys))]

    def _answer(self, pending: _Pending, piece: list[int]) -> None:
        """Ask the base for a piece; of one that fails, for what is missing, in halves."""
        try:
            with pending.listening(self.base, piece):
                found = getattr(self.base, pending.kind)([pending.requests[i] for i in piece])
        except NotImplementedError:
            raise
        except Exception as error:
            if not pending.tolerant:
                raise
            self._again(pending, piece, error)
            return
        self._in_a_row = 0
        for i, answer in zip(piece, found, strict=True):
            pending.keep(i, answer)

    def _again(self, pending: _Pending, piece: list[int], error: Exception) -> None:
        left = [i for i in piece if i not in pending.answers]
        if len(left) < len(piece):
            self._in_a_row = 0
        if len(piece) == 1 and left:
            self._in_a_row += 1
            reason = f"{type(error).__name__}: {error}"[:300]
            log.warning("%s: a request was given up (%s).", self.name, reason)
            if self._in_a_row >= GIVE_UP:
                raise error
            pending.answers[left[0]] = Failed(reason)
            return
        half = (len(left) + 1) // 2
        for part in (left[:half], left[half:]):
            if part:
                self._answer(pending, part)

    def _sampled(self, request: Any, number: int, temperature: float) -> Instance:
        context, given, *rest = request.args
        if temperature > 0:
            given = {**given, "do_sample": True, "temperature": temperature}
            if self.seeded:
                given["seed"] = 1234 + number
        sampled = asked("generate_until", (context, given, *rest), request)
        sampled.sample = number  # (for hf-fast)
        return sampled


def asked(kind: str, arguments: tuple[Any, ...], about: Any, idx: int = 0) -> Instance:
    """A request about the same document as another one."""
    return Instance(
        request_type=kind,
        doc=about.doc,
        arguments=arguments,
        idx=idx,
        metadata=(about.task_name, about.doc_id, 1),
    )


class _Pending:
    """A phase's requests, and their answers so far, kept in the cache as they come."""

    def __init__(
        self,
        kind: str,
        requests: Sequence[Any],
        keys: list[str],
        answers: dict[int, Any],
        cache: Any,
        tolerant: bool,
    ) -> None:
        self.kind, self.requests, self.keys = kind, requests, keys
        self.answers, self.cache, self.tolerant = answers, cache, tolerant
        self.dbdict = None  # (as a hook of the harness has it)
        self._waiting: dict[str, list[int]] = {}

    def keep(self, i: int, answer: Any) -> None:
        """Take an answer."""
        self.answers[i] = answer
        if self.cache is not None:
            self.cache[self.keys[i]] = answer

    @contextlib.contextmanager
    def listening(self, base: Any, piece: list[int]) -> Iterator[None]:
        """Be the base's cache hook, to which most models report each answer at once."""
        self._waiting = {}
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
