"""One instance of HELM, taken apart: its options and their scores, or its answer and `max_prob`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.logs.formats.harness.bad import BadLineError, malformed_is_bad, shown
from lm_eval_calibration.logs.formats.helm.scores import (
    CALIBRATED,
    SHIFTS,
    most_likely,
    references_of,
    scores_of,
    spans_of,
)
from lm_eval_calibration.logs.gathered import LoggedBelief, LoggedStatement, document_number, number

AS_RECORDED = 1e-6
"""How far what is recorded may be from what is computed of the same numbers."""


class ScoredInstance(NamedTuple):
    """An instance with a belief; `tied` where several options have the best score."""

    belief: LoggedBelief
    tied: bool


@malformed_is_bad
def scored(
    states: Sequence[Mapping[str, Any]], start: int, method: str, figures: Mapping[str, Any] | None
) -> ScoredInstance:
    """An instance asked by an adapter of one option a request.

    Args:
        states: its requests.
        start: the byte at which it begins.
        method: the adapter.
        figures: what HELM recorded of it, if it recorded anything.

    Raises:
        BadLineError: it cannot be read, or contradicts what was recorded.
    """
    texts, gold = references_of(states[0])
    spans = spans_of(states, texts, "original")
    base = spans_of(states, texts, "calibration") if method == CALIBRATED else None
    tried = [scores_of(spans, base, shift) for shift in SHIFTS]
    scores = tried[0] if figures is None else _as_recorded(tried, figures)
    best, _ = most_likely(scores)
    tied = scores.count(scores[best]) > 1
    if figures is not None and not tied:
        _check(figures, best, best in gold)
    return ScoredInstance(
        LoggedBelief(scores, tuple(gold), None, _document(states[0], texts), start), tied
    )


@malformed_is_bad
def stated(
    state: Mapping[str, Any], start: int, figures: Mapping[str, Any] | None
) -> LoggedStatement:
    """An instance that was answered by one letter: its probability, and whether it was right.

    Raises:
        BadLineError: nothing was recorded of it, or no probability and verdict.
    """
    if not figures or "max_prob" not in figures or "exact_match" not in figures:
        raise BadLineError("`max_prob` and `exact_match` of it are not in per_instance_stats.json")
    texts, _ = references_of(state)
    confidence = number(figures["max_prob"], "max_prob", 1 + AS_RECORDED)
    verdict = figures["exact_match"]
    if confidence < 0:
        raise BadLineError(f"`max_prob` must be from 0 to 1, got {confidence}")
    if verdict not in (0, 1):
        raise BadLineError(f"`exact_match` must be 0 or 1, got {shown(verdict)}")
    return LoggedStatement(min(confidence, 1.0), bool(verdict), _document(state, texts), start)


def _as_recorded(tried: Sequence[list[float]], figures: Mapping[str, Any]) -> list[float]:
    """The scores whose `max_prob` is the recorded one."""
    wanted = number(figures.get("max_prob"), "max_prob", 1 + AS_RECORDED)
    found = [most_likely(scores)[1] for scores in tried]
    for scores, p in zip(tried, found, strict=True):
        if abs(p - wanted) <= AS_RECORDED:
            return scores
    raise BadLineError(
        f"its `max_prob` is {wanted:.6g} in per_instance_stats.json, its log-probabilities say "
        f"{found[0]:.6g}"
    )


def _check(figures: Mapping[str, Any], best: int, right: bool) -> None:
    for name, ours in (("predicted_index", best), ("exact_match", int(right))):
        if name in figures and figures[name] != ours:
            raise BadLineError(
                f"its `{name}` is {shown(figures[name])} in per_instance_stats.json, its "
                f"log-probabilities say {ours}"
            )


def _document(state: Mapping[str, Any], texts: Sequence[str]) -> int:
    instance = state["instance"]
    return document_number(instance.get("id"), instance["input"].get("text"), list(texts))
