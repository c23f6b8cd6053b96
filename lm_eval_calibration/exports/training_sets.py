"""Scored responses in the shapes that trainers of language models read: those of TRL's data sets.

`rewards`: prompt and completion, with a reward for each sentence and for the whole; `pairs`: preference
(`prompt`, `chosen`, `rejected`); `steps`: stepwise supervision (`prompt`, `completions`, `labels`).
What was asked as a chat stays a chat (`[{"role": ..., "content": ...}]`), but that stepwise
supervision knows texts alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.errors import InvalidInputError, invalid

SCORES, LABELS = "scores", "labels"
BY = (SCORES, LABELS)


@dataclass(frozen=True)
class Scored:
    """One response.

    Attributes:
        prompt: a text, or messages.
        question: of the document.
        text: the response.
        sentences, scores: of it; no scores where there is no scorer.
        confidence: of the whole; NaN likewise.
        label: 1 if it is right, 0 if not, or between; NaN where unknown.
        document: by which responses belong together.
    """

    prompt: Any
    question: str
    text: str
    sentences: Sequence[str]
    scores: Sequence[float]
    confidence: float
    label: float
    document: int


def rewards(responses: Sequence[Scored]) -> Iterator[dict[str, Any]]:
    """A line for each response, with the score of each of its sentences."""
    for r in responses:
        yield {
            "prompt": r.prompt,
            "completion": _as_turn(r.prompt, r.text),
            "sentences": list(r.sentences),
            "rewards": list(r.scores),
            "reward": r.confidence,
            "label": None if math.isnan(r.label) else r.label,
        }


def pairs(
    responses: Sequence[Scored], by: str = SCORES, margin: float = 0.0
) -> Iterator[dict[str, Any]]:
    """The best and the worst candidate of each document.

    Args:
        responses: several of a document.
        by: `scores`: the highest and the lowest confidence; `labels`: the first right and the first
            wrong one.
        margin: documents whose two differ by no more are left out, as are those whose candidates
            say the same.

    Raises:
        InvalidInputError: another value of `by`, or no response has a label.
    """
    if by not in BY:
        raise invalid("by", " or ".join(BY), f"`{by}`")
    if by == LABELS and all(math.isnan(r.label) for r in responses):
        raise InvalidInputError("No response has a label: name the metric with `--label`.")
    documents: dict[int, list[Scored]] = {}
    for r in responses:
        documents.setdefault(r.document, []).append(r)
    for candidates in documents.values():
        known = [r for r in candidates if not math.isnan(_value(r, by))]
        if not known:
            continue
        best = max(known, key=lambda r: _value(r, by))
        worst = min(known, key=lambda r: _value(r, by))
        gap = _value(best, by) - _value(worst, by)
        if best.text.strip() == worst.text.strip() or gap <= margin:
            continue
        yield {
            "prompt": best.prompt,
            "chosen": _as_turn(best.prompt, best.text),
            "rejected": _as_turn(best.prompt, worst.text),
            "margin": gap,
        }


def steps(responses: Sequence[Scored], threshold: float = 0.5) -> Iterator[dict[str, Any]]:
    """A line for each response: its sentences, and which of them score the threshold or more."""
    for r in responses:
        yield {
            "prompt": r.prompt if isinstance(r.prompt, str) else r.question,
            "completions": list(r.sentences),
            "labels": [score >= threshold for score in r.scores],
        }


def _value(r: Scored, by: str) -> float:
    return r.label if by == LABELS else r.confidence


def _as_turn(prompt: Any, text: str) -> Any:
    return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]
