"""An envelope under one of the task's filters: the answer, whether it is one, and what speaks for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.metrics.pool import weightiest_answer
from lm_eval_calibration.tasks.judging import Judged


@dataclass(frozen=True)
class Unpacked:
    """One envelope under one of the task's filters.

    Attributes:
        envelope: as the wrapper made it.
        answer: the answer as the filter leaves it.
        score: of the answer.
        answered: whether it is one.
        pool: the candidates likewise.
        confidence: as stated, or what speaks for the answer among the candidates; 0 without an
            answer.
    """

    envelope: Envelope
    answer: Any
    score: float
    answered: bool
    pool: Judged
    confidence: float | None

    def __str__(self) -> str:
        return str(self.answer)  # which is what the harness logs


def unpacked(envelope: Envelope, judged: Judged) -> Unpacked:
    """Of an envelope, and what the task makes of its answer, if it has one, and its candidates."""
    if envelope.answer is not None:
        pool = Judged(judged.values[1:], judged.scores[1:], judged.labels[1:])
        answered = judged.labels[0] is not None
        confidence = envelope.confidence if answered else _at_most_0(envelope.confidence)
        first, score = judged.values[0], judged.scores[0]
        return Unpacked(envelope, first, score, answered, pool, confidence)
    chosen = weightiest_answer(judged.labels, _weights(envelope))
    number, weight = chosen or (0, 0.0)
    one_pick = len(envelope.picks) == 1 and not envelope.beliefs
    confidence = None if one_pick and chosen else min(weight, 1.0)
    value, score = judged.values[number], judged.scores[number]
    return Unpacked(envelope, value, score, chosen is not None, judged, confidence)


def _at_most_0(confidence: float | None) -> float | None:
    return None if confidence is None else 0.0


def _weights(envelope: Envelope) -> list[float]:
    """What speaks for each candidate; picks that name none speak for none."""
    count = len(envelope.candidates)
    if envelope.beliefs:
        return list(envelope.beliefs)
    if envelope.picks:
        return [envelope.picks.count(i) / len(envelope.picks) for i in range(count)]
    return [1 / count] * count
