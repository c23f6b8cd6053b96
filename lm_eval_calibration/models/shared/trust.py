"""Which executors, and up to which lengths, may answer in the place of the harness's own code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from lm_eval_calibration.messages import logger
from lm_eval_calibration.scoring.checking import (
    Apart,
    agree,
    from_itself,
    named_lengths,
    size,
    some_of,
)
from lm_eval_calibration.scoring.contract import Executor, ScoredRequest
from lm_eval_calibration.scoring.sequences import Request

log = logger(f"lm_eval.{__name__}")

Expected = Callable[[list[Request]], list[float]]
"""`hf`'s log-likelihoods of some requests."""


class TriedExecutor(NamedTuple):
    """What an executor has been tried on, or is to be.

    tokens: the longest request's; context: the longest context's, which is what can be split; shared:
    whether requests share one.
    """

    tokens: int = 0
    context: int = 0
    shared: bool = False

    def covers(self, other: TriedExecutor) -> bool:
        """Whether nothing of the other is new."""
        return all(mine >= theirs for mine, theirs in zip(self, other, strict=True))

    def joined(self, other: TriedExecutor) -> TriedExecutor:
        """Both."""
        return TriedExecutor(
            max(self.tokens, other.tokens),
            max(self.context, other.context),
            self.shared or other.shared,
        )


@dataclass
class Candidate:
    """An executor on one model: it is compared with `hf` on its first requests, and on longer ones.

    Attributes:
        kind: as messages name what it computes, e.g. "packed inputs".
        make: builds it; may raise whatever the model stumbles over.
        limit: up to how many tokens it may answer; `None` for any.
        reason: why it may not answer at all, if it may not.
        checked: on what it was compared.
    """

    kind: str
    make: Callable[[], Executor[Any]]
    limit: int | None
    reason: str | None = None
    checked: TriedExecutor = field(default_factory=TriedExecutor)
    made: list[Executor[Any]] = field(default_factory=list)

    @property
    def executor(self) -> Executor[Any]:
        """Built when it is first needed."""
        if not self.made:
            self.made.append(self.make())
        return self.made[0]


class Trust:
    """In the executors for one model; the first that may answer a request is asked.

    Args:
        config: the model's.
        max_length: most tokens that the model reads.
        candidates: the fastest first.
        otherwise: the model's own log-likelihoods of some requests, computed in another shape, where its
            precision is such that they are others: what an executor may be off by follows from that.
    """

    def __init__(
        self,
        config: Any,
        max_length: int,
        candidates: Sequence[Candidate],
        otherwise: Expected | None = None,
    ) -> None:
        self.config, self.max_length, self.candidates = config, max_length, list(candidates)
        self._otherwise = otherwise
        self._told: set[str] = set()
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}

    @property
    def reason(self) -> str | None:
        """Why no executor may answer, if none may."""
        reasons = [candidate.reason for candidate in self.candidates]
        if any(reason is None for reason in reasons):
            return None
        return "; ".join(dict.fromkeys(str(reason) for reason in reasons))

    @property
    def limit(self) -> int | None:
        """Up to how many tokens some executor may answer; `None` for any."""
        limits = [c.limit for c in self.candidates if c.reason is None]
        return None if None in limits or not limits else max(n for n in limits if n is not None)

    def shares(
        self, requests: Sequence[Request], expected: Expected
    ) -> list[tuple[Candidate, list[int]]]:
        """Who may answer which requests, by number; those that are left are `hf`'s."""
        found = []
        left = list(range(len(requests)))
        for candidate in self.candidates:
            if not left:
                break
            within = self._within(candidate, requests, left)
            self._earn(candidate, [requests[n] for n in within], expected)
            within = self._within(candidate, requests, within)  # (its limit may be lower now)
            if candidate.reason is None and within:
                self._say(f"hf-fast scores by {candidate.kind}.", log.info)
                found.append((candidate, within))
                left = sorted(set(left) - set(within))
        self._tell(bool(left))
        return found

    def lose(self, candidate: Candidate, reason: str) -> None:
        """From now on another answers."""
        candidate.reason = reason
        self._tell(False)

    def why_not(self) -> str:
        """Why a request was left to `hf`."""
        return self.reason or f"inputs of over {self.limit} tokens are left to `hf`"

    def _tell(self, some_are_left: bool) -> None:
        """Once, that `hf` answers, and why."""
        if self.reason is not None:
            self._say(f"hf-fast scores as slowly as hf: {self.reason}.")
        elif some_are_left:
            self._say(
                f"hf-fast scores inputs of over {self.limit} tokens as slowly as hf: there this "
                "architecture computes something else of several together."
            )

    def _say(self, text: str, say: Callable[..., None] = log.warning) -> None:
        if text not in self._told:
            self._told.add(text)
            say("%s", text)

    def _within(
        self, candidate: Candidate, requests: Sequence[Request], numbers: Sequence[int]
    ) -> list[int]:
        if candidate.reason is not None:
            return []
        limit = candidate.limit
        return [n for n in numbers if limit is None or self._read(requests[n]) <= limit]

    def _read(self, request: Request) -> int:
        return min(size(request), self.max_length)

    def _earn(self, candidate: Candidate, within: list[Request], expected: Expected) -> None:
        """Try a candidate where there are longer requests than it was tried on."""
        contexts = [len(request.context) for request in within]
        shared = len({tuple(request.context) for request in within}) < len(within)
        wanted = TriedExecutor(
            max(map(self._read, within), default=0),
            min(max(contexts, default=0), self.max_length),
            shared and max(contexts, default=0) > 1,
        )
        if candidate.reason is None and not candidate.checked.covers(wanted):
            candidate.reason = self._disagreement(candidate, within, wanted.tokens, expected)
            candidate.checked = candidate.checked.joined(wanted)

    def _disagreement(
        self, candidate: Candidate, within: list[Request], longest: int, expected: Expected
    ) -> str | None:
        """What speaks against a candidate on these requests, if anything does; its limit may be lowered."""
        lengths = named_lengths(self.config)
        chosen = some_of(within, lengths, self.max_length)
        values = self._expected(chosen, expected)
        noise = self._noise(chosen, values)
        reason: str | None = None
        for limit in [longest, *(n for n in reversed(lengths) if n < longest)]:
            some = [n for n, request in enumerate(chosen) if self._read(request) <= limit]
            if len(some) < 2:
                break
            asked, known = [chosen[n] for n in some], [values[n] for n in some]
            failed = tried(candidate, asked, known, noise).reason
            if failed is None:
                candidate.limit = candidate.limit if limit == longest else limit
                return None
            reason = reason or failed
        return reason

    def _expected(self, requests: list[Request], expected: Expected) -> list[float]:
        """`hf`'s answers, each asked for once, however many candidates are tried."""
        keys = [(tuple(r.context), tuple(r.continuation)) for r in requests]
        new = {key: r for key, r in zip(keys, requests, strict=True) if key not in self._known}
        answers = expected(list(new.values())) if new else []
        self._known |= dict(zip(new, answers, strict=True))
        return [self._known[key] for key in keys]

    def _noise(self, chosen: list[Request], values: list[float]) -> Apart | None:
        """How far the model is from itself; `None` where that does not matter, or cannot be had."""
        if self._otherwise is None:
            return None
        try:
            return from_itself(self.config, chosen, values, self._otherwise(chosen))
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model stumbles over, `hf` runs it
            log.debug("hf-fast: no second computation to compare with: %r", error)
            return None


class Trial(NamedTuple):
    """What speaks against a candidate, if anything does; and its answers to all requests, if it had them."""

    reason: str | None
    answers: list[ScoredRequest]


def tried(
    candidate: Candidate,
    requests: Sequence[Request],
    expected: Sequence[float],
    noise: Apart | None = None,
) -> Trial:
    """A candidate on some requests of which `hf`'s answers are given.

    Args:
        candidate: to be tried.
        requests: on which.
        expected: `hf`'s answers.
        noise: how far the model is from itself, where that is known.
    """
    whole: list[ScoredRequest] = []
    try:
        executor = candidate.executor
        for numbers, plan in executor.trials(requests):
            asked = [requests[n] for n in numbers]
            found = executor.score(asked, plan=plan)
            whole = whole or found
            answers = [answer.loglikelihood for answer in found]
            if not agree(asked, answers, [expected[n] for n in numbers], executor.dtype, noise):
                why = f"{candidate.kind} and separate ones disagree on this architecture"
                return Trial(why, whole)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a model stumbles over, `hf` runs it
        return Trial(f"the model does not take {candidate.kind} ({named(error)})", whole)
    return Trial(None, whole)


def named(error: BaseException) -> str:
    """An error in a line: some say nothing beside their names."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
