"""Answers of a model that is asked about a document's options: what it said of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from lm_eval_calibration.predictions import Floats

ENDED = "it ended before an answer"
"""Why nothing can be read of a reply that was still thinking."""
FLOOR = 1e-4
"""What a stated 0 is taken for before a logarithm: the least that a calibrator chooses among."""
MEASURES = {"label_mass": True, "outside_rate": False, "thought_tokens": None}
"""What may be known of a document beside its probabilities, and which way is better: the mass on all
options' tokens, the share of options outside the returned tokens, how long the model thought."""


@dataclass(frozen=True)
class Statement:
    """What a model stated of one document.

    Attributes:
        probabilities: of its K options, as read and averaged over replies; nothing floored or
            calibrated yet. Uniform if nothing could be read.
        status: `valid`, `repaired` or `invalid`: that of the worst reply that counts; `cut` if none
            can be read and one ended before that.
        notes: what was repaired, or why nothing could be read.
        replies: the model's words.
        total: sum of the numbers as they were written; NaN if there are none.
        cut: the share of its replies that ended because their room was used up; `None` if unknown.
        asked: the questions as they were put, without the conversation around them.
        measures: other numbers about how it was asked, by the names of `MEASURES`.
        preference: (K,) of the letters, whatever option stood at them, where options were shown in several
            orders; () where not.
        draws: (S, K) probabilities by each of S thoughts, of which those are the mean; `None` without.
    """

    probabilities: tuple[float, ...]
    status: str
    notes: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    total: float = float("nan")
    cut: float | None = None
    asked: tuple[str, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)
    preference: tuple[float, ...] = ()
    draws: Floats | None = None

    @property
    def unread(self) -> bool:
        """Whether nothing could be read."""
        return self.status in ("invalid", "cut")

    @property
    def in_words(self) -> bool:
        """Whether the model wrote numbers, of which some may be zeros."""
        return not math.isnan(self.total)

    def as_logged(self) -> dict[str, Any]:
        """A dictionary for a samples file (which has the draws elsewhere)."""
        logged = asdict(replace(self, draws=None, measures=dict(self.measures)))
        del logged["draws"]
        if not self.preference:
            del logged["preference"]
        return {**logged, "total": self.total if self.in_words else None}


class StatedAnswer(tuple[float, bool]):
    """The harness's answer to a request, `(loglikelihood, is_greedy)`, with the statement behind it.

    Attributes:
        statement: the document's; the same for all its options.
        option: which of them it is about; `None` for a request without a question.
    """

    statement: Statement
    option: int | None

    def __new__(
        cls,
        loglikelihood: float,
        is_greedy: bool,
        statement: Statement,
        option: int | None = None,
    ) -> StatedAnswer:
        """A tuple of the first two."""
        answer = super().__new__(cls, (loglikelihood, is_greedy))
        answer.statement, answer.option = statement, option
        return answer

    def __getnewargs__(self) -> tuple[float, bool, Statement, int | None]:
        """How a cache makes it anew."""
        return (self[0], self[1], self.statement, self.option)

    @property
    def draws(self) -> Floats | None:
        """(1, S) log-probabilities of the option by each thought; `None` without."""
        if self.statement.draws is None or self.option is None:
            return None
        with np.errstate(divide="ignore"):
            return np.log(self.statement.draws[None, :, self.option])


def statement_of(answers: Sequence[Any]) -> Statement | None:
    """The statement behind a document's answers, if they were stated."""
    first = answers[0] if answers else None
    return first.statement if isinstance(first, StatedAnswer) else None
