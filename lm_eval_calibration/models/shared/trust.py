"""Whether, and up to which length, an engine may answer in the place of the harness's own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lm_eval_calibration.messages import logger
from lm_eval_calibration.scoring.checking import named_lengths, size, some_of, trusted_length
from lm_eval_calibration.scoring.sequences import Request

log = logger(f"lm_eval.{__name__}")

Expected = Callable[[list[Request]], list[float]]
"""`hf`'s log-likelihoods of some requests."""
Tried = Callable[[list[Request], list[float]], str | None]
"""What speaks against the engine on some requests of which `hf`'s answers are given."""


class Trust:
    """An engine's, on one model: it is compared with `hf` on its first requests, and on longer ones.

    Args:
        config: the model's.
        max_length: most tokens that the model reads.

    Attributes:
        reason: why the engine may not answer at all, if it may not.
        limit: up to how many tokens it may; `None` for any.
    """

    def __init__(self, config: Any, max_length: int) -> None:
        self.config, self.max_length = config, max_length
        self.reason: str | None = None
        self.limit = trusted_length(config)
        self._checked = 0
        self._told = False

    def within(self, request: Request) -> bool:
        """Whether a request is no longer than the limit."""
        return self.limit is None or self._read(request) <= self.limit

    def earned(self, requests: Sequence[Request], expected: Expected, tried: Tried) -> bool:
        """Whether the engine may answer those requests that are within the limit; some are tried."""
        within = [request for request in requests if self.within(request)]
        longest = max(map(self._read, within), default=0)
        if self.reason is None and longest > self._checked:
            reason = self._disagreement(within, longest, expected, tried)
            self._checked = longest
            if reason is not None:
                self.lose(reason)
        if self.reason is None and not self._told and not all(map(self.within, requests)):
            self._told = True
            log.warning(
                "hf-fast scores inputs of over %d tokens as slowly as hf: there this architecture "
                "computes something else of several together.",
                self.limit,
            )
        return self.reason is None and bool(within)

    def lose(self, reason: str) -> None:
        """From now on `hf` answers; it is said once."""
        self.reason = reason
        log.warning("hf-fast scores as slowly as hf: %s.", reason)

    def why_not(self) -> str:
        """Why a request was left to `hf`."""
        return self.reason or f"inputs of over {self.limit} tokens are left to `hf`"

    def _read(self, request: Request) -> int:
        return min(size(request), self.max_length)

    def _disagreement(
        self, within: list[Request], longest: int, expected: Expected, tried: Tried
    ) -> str | None:
        """Why the engine cannot be used for these requests, if it cannot; the limit may be lowered."""
        lengths = named_lengths(self.config)
        chosen = some_of(within, lengths, self.max_length)
        values = expected(chosen)
        reason: str | None = None
        for limit in [longest, *(n for n in reversed(lengths) if n < longest)]:
            some = [n for n, request in enumerate(chosen) if self._read(request) <= limit]
            if len(some) < 2:
                break
            failed = tried([chosen[n] for n in some], [values[n] for n in some])
            if failed is None:
                self.limit = self.limit if limit == longest else limit
                return None
            reason = reason or failed
        return reason
