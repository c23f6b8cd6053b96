"""Scored responses in the shapes that trainers of language models read: those of TRL's data sets.

`rewards`: prompt and completion, with a reward for each sentence and for the whole; `pairs`: preference
(`prompt`, `chosen`, `rejected`); `steps`: stepwise supervision (`prompt`, `completions`, `labels`);
`choices`: prompt and completion (the number of a right candidate) for a model that is to choose.
What was asked as a chat stays a chat (`[{"role": ..., "content": ...}]`), but that stepwise
supervision knows texts alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.fractal.responses import Response
from lm_eval_calibration.models.shared.picking import INDEX
from lm_eval_calibration.models.shared.prompts import bare_question
from lm_eval_calibration.models.shared.templates import TEMPLATES

SCORES, LABELS = "scores", "labels"
BY = (SCORES, LABELS)


class TrainingResponse(NamedTuple):
    """A response, the scores of its sentences, and the confidence in the whole."""

    response: Response
    scores: Sequence[float] = ()
    confidence: float = math.nan


Shape = Callable[[Sequence[TrainingResponse]], Iterator[dict[str, Any]]]
"""Lines of scored responses."""


def rewards(scored: Sequence[TrainingResponse]) -> Iterator[dict[str, Any]]:
    """A line for each response, with the score of each of its sentences."""
    for response, scores, confidence in scored:
        yield {
            "prompt": response.prompt,
            "completion": _as_turn(response),
            "sentences": list(response.sentences),
            "rewards": list(scores),
            "reward": confidence,
            "label": None if math.isnan(response.label) else response.label,
        }


def pairs(
    scored: Sequence[TrainingResponse], by: str = SCORES, margin: float = 0.0
) -> Iterator[dict[str, Any]]:
    """The best and the worst candidate of each document.

    Args:
        scored: several responses to a document.
        by: `scores`: the highest and the lowest confidence; `labels`: the first right and the first
            wrong one.
        margin: documents whose two differ by no more are left out, as are those whose candidates
            say the same.

    Raises:
        InvalidInputError: another value of `by`, or no response has a label.
    """
    if by not in BY:
        raise invalid("--by", " or ".join(BY), f"`{by}`")
    if by == LABELS and all(math.isnan(one.response.label) for one in scored):
        raise InvalidInputError("No response has a label: name the metric with `--label`.")
    documents: dict[int, list[tuple[float, Response]]] = {}
    for response, _, confidence in scored:
        value = response.label if by == LABELS else confidence
        if not math.isnan(value):
            documents.setdefault(response.document, []).append((value, response))
    for candidates in documents.values():
        high, best = max(candidates, key=lambda pair: pair[0])
        low, worst = min(candidates, key=lambda pair: pair[0])
        if best.text.strip() != worst.text.strip() and high - low > margin:
            yield {
                "prompt": best.prompt,
                "chosen": _as_turn(best),
                "rejected": _as_turn(worst),
                "margin": high - low,
            }


def steps(scored: Sequence[TrainingResponse], threshold: float = 0.5) -> Iterator[dict[str, Any]]:
    """A line for each response: its sentences, and which of them score the threshold or more."""
    for response, scores, _ in scored:
        asked = response.prompt
        yield {
            "prompt": asked if isinstance(asked, str) else response.question,
            "completions": list(response.sentences),
            "labels": [score >= threshold for score in scores],
        }


def choices(responses: Sequence[Response]) -> Iterator[dict[str, Any]]:
    """A line for each document with right and wrong candidates: which of them is right?

    As `--model self_correct` asks, in chat messages. Right candidates stand at each place equally
    often, in a cyclic order of the pool.
    """
    documents: dict[int, list[Response]] = {}
    for response in responses:
        documents.setdefault(response.document, []).append(response)
    written = 0
    for pool in documents.values():
        right = [i for i, response in enumerate(pool) if response.label == 1]
        if not right or len(right) == len(pool):
            continue
        place = written % len(pool)
        start = right[written % len(right)] - place
        shown = [pool[(start + i) % len(pool)].text for i in range(len(pool))]
        names = {"question": bare_question(pool[0].question), "candidates": shown}
        asked = TEMPLATES.render(INDEX, names).strip()
        written += 1
        yield {
            "prompt": [{"role": "user", "content": asked}],
            "completion": [{"role": "assistant", "content": str(place + 1)}],
        }


def _as_turn(response: Response) -> Any:
    if isinstance(response.prompt, str):
        return response.text
    return [{"role": "assistant", "content": response.text}]
