"""Answers of a model that states its beliefs in words: what it said of a document's options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

FLOOR = 1e-4
"""What a stated 0 is taken for before a logarithm: the least that a calibrator chooses among."""


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
    """

    probabilities: tuple[float, ...]
    status: str
    notes: tuple[str, ...] = ()
    replies: tuple[str, ...] = ()
    total: float = float("nan")
    cut: float | None = None

    @property
    def unread(self) -> bool:
        """Whether nothing could be read."""
        return self.status in ("invalid", "cut")

    def as_logged(self) -> dict[str, Any]:
        """A dictionary for a samples file."""
        return asdict(self)


class StatedAnswer(tuple[float, bool]):
    """The harness's answer to a request, `(loglikelihood, is_greedy)`, with the statement behind it.

    Attributes:
        statement: the document's; the same for all its options.
    """

    statement: Statement

    def __new__(cls, loglikelihood: float, is_greedy: bool, statement: Statement) -> StatedAnswer:
        """A tuple of the first two."""
        answer = super().__new__(cls, (loglikelihood, is_greedy))
        answer.statement = statement
        return answer

    def __getnewargs__(self) -> tuple[float, bool, Statement]:
        """How a cache makes it anew."""
        return (self[0], self[1], self.statement)


def statement_of(answers: Sequence[Any]) -> Statement | None:
    """The statement behind a document's answers, if they were stated."""
    first = answers[0] if answers else None
    return first.statement if isinstance(first, StatedAnswer) else None
