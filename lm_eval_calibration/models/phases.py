"""Many requests to a base model in named phases: batched, cached piece by piece, samples told apart."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import hash_args

log = logging.getLogger(f"lm_eval.{__name__}")

PIECE = 256
"""Requests that are asked at a time where there is a cache: what a kill may cost."""
SEEDED = ("TemplateAPI", "VLLM", "SGLangLM")
"""Models to which a sample's seed must be told, for they would give equal samples else."""


class Phases:
    """The base of a wrapper, asked in phases.

    Args:
        base: a model of the harness.
        name: the wrapper's, for the keys of the cache.
    """

    def __init__(self, base: Any, name: str) -> None:
        self.base, self.name = base, name
        self.cache: Any = None
        self.seeded = any(cls.__name__ in SEEDED for cls in type(base).__mro__)

    def samples(
        self, requests: Sequence[Any], count: int, temperature: float, title: str
    ) -> list[list[str]]:
        """`count` answers to each request, sampled at a temperature; greedy at 0."""
        clones = [
            (self._sampled(request, number, temperature), number)
            for request in requests
            for number in range(count)
        ]
        found = self.generate([c for c, _ in clones], title, [number for _, number in clones])
        return [found[i : i + count] for i in range(0, len(found), count)]

    def generate(
        self, requests: Sequence[Any], title: str, samples: Sequence[int] | None = None
    ) -> list[str]:
        """Answers to generation requests, from the cache where they are in it."""
        return list(self._ask("generate_until", requests, title, samples))

    def loglikelihood(self, requests: Sequence[Any], title: str) -> list[tuple[float, bool]]:
        """Log-likelihoods, likewise."""
        return [(float(v), bool(g)) for v, g in self._ask("loglikelihood", requests, title, None)]

    def _ask(
        self, kind: str, requests: Sequence[Any], title: str, samples: Sequence[int] | None
    ) -> list[Any]:
        if not requests:
            return []
        log.info("%s: %s (%d requests)", self.name, title, len(requests))
        numbers = samples or [0] * len(requests)
        keys = [
            hash_args(f"{kind}:{number}", request.args)
            for request, number in zip(requests, numbers, strict=True)
        ]
        known = (
            {} if self.cache is None else {k: self.cache[k] for k in set(keys) if k in self.cache}
        )
        missing = [i for i, key in enumerate(keys) if key not in known]
        answers: dict[int, Any] = {}
        size = len(missing) if self.cache is None else PIECE
        for start in range(0, len(missing), max(size, 1)):
            piece = missing[start : start + size]
            if len(piece) < len(requests):
                end = f"{start + len(piece):,} of {len(missing):,}"
                log.info("%s: %s, %d to %s", self.name, title, start + 1, end)
            found = getattr(self.base, kind)([requests[i] for i in piece])
            for i, answer in zip(piece, found, strict=True):
                answers[i] = answer
                if self.cache is not None:
                    self.cache[keys[i]] = answer
        return [answers[i] if i in answers else known[key] for i, key in enumerate(keys)]

    def _sampled(self, request: Any, number: int, temperature: float) -> Instance:
        context, given, *rest = request.args
        if temperature > 0:
            given = {**given, "do_sample": True, "temperature": temperature}
            if self.seeded:
                given["seed"] = 1234 + number
        return asked("generate_until", (context, given, *rest), request)


def asked(kind: str, arguments: tuple[Any, ...], about: Any, idx: int = 0) -> Instance:
    """A request about the same document as another one."""
    return Instance(
        request_type=kind,
        doc=about.doc,
        arguments=arguments,
        idx=idx,
        metadata=(about.task_name, about.doc_id, 1),
    )
