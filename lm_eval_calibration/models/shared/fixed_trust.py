"""Which executors may answer where a number may hang on nothing but its own request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval_calibration.models.shared.made_up import TRYING, MadeUp
from lm_eval_calibration.models.shared.trust import Candidate, Expected, Trust, log, tried
from lm_eval_calibration.scoring.checking import Apart
from lm_eval_calibration.scoring.sequences import Request


class FixedTrust(Trust):
    """In executors that are tried on requests made up for the model, not on the run's own.

    A request asks for a trial at each length up to its own at which the model's configuration says
    that something else may be computed. Who answers it thus hangs on the model and its length alone.

    Args:
        config: the model's.
        max_length: most tokens that the model reads.
        candidates: the fastest first.
        otherwise: as `Trust` has it.
        made_up: what they are tried on.
    """

    def __init__(
        self,
        config: Any,
        max_length: int,
        candidates: Sequence[Candidate],
        otherwise: Expected | None,
        made_up: MadeUp,
    ) -> None:
        super().__init__(config, max_length, candidates, otherwise)
        self._made_up = made_up
        self._found: dict[tuple[int, int], str | None] = {}

    def shares(
        self, requests: Sequence[Request], expected: Expected
    ) -> list[tuple[Candidate, list[int]]]:
        """Who may answer which requests, by number; those that are left are `hf`'s, each by itself."""
        by_place: dict[int, list[int]] = {}
        left = False
        for number, request in enumerate(requests):
            place = self._who(self._read(request), expected)
            if place is None:
                left = True
            else:
                by_place.setdefault(place, []).append(number)
        self._tell(left)
        found = [(self.candidates[place], by_place[place]) for place in sorted(by_place)]
        for candidate, _ in found:
            self._say(f"hf-fast scores by {candidate.kind}.", log.info)
        return found

    def _who(self, length: int, expected: Expected) -> int | None:
        """The first candidate that may answer a request of so many tokens."""
        levels = self._made_up.levels(length)
        for place, candidate in enumerate(self.candidates):
            within = candidate.limit is None or length <= candidate.limit
            if within and all(self._verdict(place, n, expected) is None for n in levels):
                return place
        return None

    def _verdict(self, place: int, level: int, expected: Expected) -> str | None:
        """What speaks against a candidate at a level, if anything does."""
        if (place, level) not in self._found:
            self._say(TRYING, log.info)
            candidate = self.candidates[place]
            made = self._made_up.requests(level)
            values = self._expected(made, expected)
            noise = self._noise(made, values)
            why = candidate.reason or _tried(candidate, made, values, noise)
            self._found[place, level] = why
            if level == 0:
                candidate.reason = why
        return self._found[place, level]


def _tried(
    candidate: Candidate, made: Sequence[Request], values: Sequence[float], noise: Apart | None
) -> str | None:
    """What speaks against a candidate: other numbers than `hf`'s, or others in other company."""
    trial = tried(candidate, made, values, noise)
    if trial.reason is not None:
        return trial.reason
    numbers = range(len(made))[::-2]
    again = candidate.executor.score([made[n] for n in numbers])
    if any(trial.answers[n] != answer for n, answer in zip(numbers, again, strict=True)):
        return f"{candidate.kind} are computed otherwise in other company on this architecture"
    return None
