"""An envelope under one of the task's filters: the answer, whether it is one, and what speaks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lm_eval_calibration.envelope import NO_SCORE, Envelope
from lm_eval_calibration.metrics.agreement import CONSISTENCY, MASS, agreement
from lm_eval_calibration.metrics.beliefs import NO_PROBABILITIES
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
            answer; `None` where a score is stated instead.
        stated: the score, where no probability is; `NO_SCORE` without an answer.
        told: beliefs in the answer by name, those that follow from the pool among them.
    """

    envelope: Envelope
    answer: Any
    score: float
    answered: bool
    pool: Judged
    confidence: float | None
    stated: float | None = None
    told: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return str(self.answer)  # which is what the harness logs


def unpacked(envelope: Envelope, judged: Judged) -> Unpacked:
    """Of an envelope, and what the task makes of its answer, if it has one, and its candidates."""
    if envelope.answer is not None:
        pool = Judged(judged.values[1:], judged.scores[1:], judged.labels[1:])
        answered = judged.labels[0] is not None
        told = {**envelope.told, **_of_pool(envelope, judged.labels)}
        confidence, score = envelope.confidence, envelope.score
        if envelope.states and confidence is None and score is None:
            value = told.get(envelope.states)  # (an answer without tokens has no likelihood)
            if envelope.states in NO_PROBABILITIES:
                confidence, score = None, NO_SCORE if value is None else value
            else:
                confidence, score = min(value or 0.0, 1.0), None
        if not answered:
            confidence, score = _at_most(0.0, confidence), _at_most(NO_SCORE, score)
        first, verdict = judged.values[0], judged.scores[0]
        return Unpacked(envelope, first, verdict, answered, pool, confidence, score, told)
    chosen = weightiest_answer(judged.labels, _weights(envelope))
    number, weight = chosen or (0, 0.0)
    one_pick = len(envelope.picks) == 1 and not envelope.beliefs
    confidence = None if one_pick and chosen else min(weight, 1.0)
    value, score = judged.values[number], judged.scores[number]
    return Unpacked(envelope, value, score, chosen is not None, judged, confidence)


def _at_most(least: float, stated: float | None) -> float | None:
    return None if stated is None else least


def _of_pool(envelope: Envelope, labels: Sequence[object]) -> dict[str, float]:
    """Beliefs that follow from what says the same: by the task's filter, and as the wrapper found it.

    A candidate that is no answer says the same as no other.
    """
    if not envelope.states or not envelope.candidates:
        return {}
    number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    by_filter = [
        number[label] if label is not None else len(number) + i for i, label in enumerate(labels)
    ]
    found = agreement(envelope.clusters or by_filter, envelope.weights)
    return {CONSISTENCY: agreement(by_filter)[MASS], **found}


def _weights(envelope: Envelope) -> list[float]:
    """What speaks for each candidate; picks that name none speak for none."""
    count = len(envelope.candidates)
    if envelope.beliefs:
        return list(envelope.beliefs)
    if envelope.picks:
        return [envelope.picks.count(i) / len(envelope.picks) for i in range(count)]
    return [1 / count] * count
