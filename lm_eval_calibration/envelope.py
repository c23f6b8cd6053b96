"""What a wrapper says of one generation request: the answer, how sure it is, and how it came to it.

The harness hands a response on as text, so an envelope travels as one line of JSON. It begins with
the format's version, by which a twin tells it from a plain answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from math import isfinite
from typing import Any

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.json_text import loads

VERSION = 1
INVALID = "invalid"
"""The flag of words that state no confidence."""
CUT = "cut"
"""That of words that were cut before they stated one, and the status of such a reply to a wrapper's own question."""
MARK = '{"lm_eval_calibration_envelope": '
NO_SCORE = -100.0
"""The score of what is no answer: below those of all answers, which are entropies or margins."""
ROUNDING = 1e-6
"""By so much a mean of probabilities may be above 1."""


@dataclass(frozen=True)
class Envelope:
    """An answer with a belief.

    Attributes:
        source: the wrapper's name.
        answer: what the task's metric reads; `None` leaves it to the twin, which adds up what
            speaks for each answer after the task's own filters: beliefs, else picks, else one
            vote for each candidate.
        confidence: that the answer is right, in [0, 1]; `None` if none is stated, or if the answer
            is left to the twin, where it is what speaks for it.
        candidates: the pool that the answer was chosen from, in the order of sampling.
        picks: for each time that a candidate was chosen, its number; `None` where the words named
            none.
        beliefs: probability of each candidate, where they were stated.
        said: the discriminator's words, one for each pick.
        orders: the order in which each discriminator saw the candidates.
        sentences: of the answer, where each has a score.
        scores: of them: the probability of each to be right.
        flags: what a reader must know: `invalid`, the words state no confidence, and a half was
            taken; `cut`, once for each of the words that were cut before they stated anything.
        cut: the share of all replies that ended because their room was used up; `None` if unknown.
        score: how sure, as a number of any size, higher for surer answers; where no probability is
            stated.
        told: further beliefs in the answer by name, probabilities or scores; higher is surer.
        clusters: of the answer and then of each candidate the number of those that say the same;
            where the wrapper has found that out, and does not leave it to the task's filters.
        weights: log-likelihood of each candidate and how many tokens it has, where they are known.
        states: which of the beliefs that the twin works out of the pool (`told`'s names) is the
            stated one; "" where a confidence or score is.

    Raises:
        InvalidInputError: a confidence or belief outside [0, 1], a score that is not finite, or
            numbers of candidates that there are not.
    """

    source: str
    answer: str | None
    confidence: float | None = None
    candidates: tuple[str, ...] = ()
    picks: tuple[int | None, ...] = ()
    beliefs: tuple[float, ...] = ()
    said: tuple[str, ...] = ()
    orders: tuple[tuple[int, ...], ...] = ()
    flags: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    cut: float | None = None
    score: float | None = None
    told: Mapping[str, float] = field(default_factory=dict)
    clusters: tuple[int, ...] = ()
    weights: tuple[tuple[float, float], ...] = ()
    states: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        c = self.confidence
        if c is not None and not (isfinite(c) and 0 <= c <= 1):
            raise invalid("confidence", "from 0 to 1", c)
        count = len(self.candidates)
        if self.answer is None and not count:
            raise invalid("candidates", "at least one where `answer` is left open", "none")
        if any(pick is not None and not 0 <= pick < count for pick in self.picks):
            raise invalid("picks", f"numbers from 0 to {count - 1}, or none", self.picks)
        if self.beliefs and len(self.beliefs) != count:
            raise invalid("beliefs", f"one for each of {count} candidates", len(self.beliefs))
        if not all(0 <= belief <= 1 + ROUNDING for belief in self.beliefs):
            raise invalid("beliefs", "from 0 to 1", self.beliefs)
        if not all(0 <= number < count for order in self.orders for number in order):
            raise invalid("orders", f"of numbers from 0 to {count - 1}", self.orders)
        if len(self.scores) != len(self.sentences):
            raise invalid("scores", f"one for each of {len(self.sentences)} sentences", self.scores)
        if not all(0 <= score <= 1 for score in self.scores):
            raise invalid("scores", "from 0 to 1", self.scores)
        if self.cut is not None and not 0 <= self.cut <= 1:
            raise invalid("cut", "from 0 to 1", self.cut)
        self._check_scores(count)

    def _check_scores(self, count: int) -> None:
        for name, value in (("score", self.score), *self.told.items()):
            if value is not None and not isfinite(value):
                raise invalid(name, "finite", value)
        if self.clusters and len(self.clusters) != count + 1:
            raise invalid(
                "clusters", f"one for the answer and each of {count} candidates", self.clusters
            )
        if self.weights and len(self.weights) != count:
            raise invalid("weights", f"one for each of {count} candidates", len(self.weights))

    def to_text(self) -> str:
        """The envelope as one line of JSON."""
        text = json.dumps({"lm_eval_calibration_envelope": VERSION, **asdict(self)})
        assert text.startswith(MARK)
        return text

    @classmethod
    def from_text(cls, text: Any) -> Envelope | None:
        """The envelope that a response is, or `None` if it is a plain answer.

        Raises:
            InvalidInputError: another version of the format, or a damaged envelope.
        """
        if not is_envelope(text):
            return None
        try:
            given = loads(text)
            if (version := given.pop("lm_eval_calibration_envelope")) == VERSION:
                return cls._checked(given)
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError) as error:
            raise InvalidInputError(f"A damaged envelope ({error}): {text[:80]}...") from error
        raise InvalidInputError(
            f"An envelope of version {version}, where version {VERSION} is known: the run was made "
            "with another release of lm-eval-calibration."
        )

    @classmethod
    def _checked(cls, given: dict[str, Any]) -> Envelope:
        unknown = set(given) - {each.name for each in fields(cls)}
        if unknown:
            raise ValueError(f"unknown field {sorted(unknown)[0]}")
        if not isinstance(given["source"], str):
            raise ValueError("`source` is no text")
        if not isinstance(given["answer"], (str, type(None))):
            raise ValueError("an answer that is no text")
        picks, orders = _list(given, "picks"), _list(given, "orders")
        if not all(pick is None or type(pick) is int for pick in picks):
            raise ValueError("a pick that is no number")
        if not all(
            isinstance(order, list) and all(type(i) is int for i in order) for order in orders
        ):
            raise ValueError("an order that is no list of numbers")
        confidence, cut = given.get("confidence"), given.get("cut")
        return cls(
            given["source"],
            given["answer"],
            None if confidence is None else _number(confidence),
            _texts(given, "candidates"),
            tuple(picks),
            _numbers(given, "beliefs"),
            _texts(given, "said"),
            tuple(map(tuple, orders)),
            _texts(given, "flags"),
            _texts(given, "sentences"),
            _numbers(given, "scores"),
            None if cut is None else _number(cut),
            None if given.get("score") is None else _number(given["score"]),
            {str(name): _number(value) for name, value in dict(given.get("told") or {}).items()},
            tuple(map(_whole, _list(given, "clusters"))),
            tuple((_number(value), _number(count)) for value, count in _list(given, "weights")),
            str(given.get("states", "")),
        )


def _list(given: Mapping[str, Any], name: str) -> list[Any]:
    found = given.get(name, [])
    if not isinstance(found, list):
        raise ValueError(f"`{name}` is no list")
    return found


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = _list(given, name)
    if not all(isinstance(text, str) for text in found):
        raise ValueError(f"`{name}` holds something that is no text")
    return tuple(found)


def _numbers(given: Mapping[str, Any], name: str) -> tuple[float, ...]:
    return tuple(map(_number, _list(given, name)))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("a number that is none")
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a cluster that is no number")
    return value


def is_envelope(response: Any) -> bool:
    """Whether a response is an envelope's text, by how it begins.

    >>> is_envelope(Envelope("p_true", "42", 0.5).to_text()), is_envelope("42")
    (True, False)
    """
    return isinstance(response, str) and response.startswith(MARK)
