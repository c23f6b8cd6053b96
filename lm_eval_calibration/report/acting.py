"""Which answers may be acted on: thresholds of a scope, in rows, for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from lm_eval_calibration.analysis.thresholds import (
    Threshold,
    between,
    few_classes,
    halves,
    refuse_shared,
)
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.run import Run, Scope
from lm_eval_calibration.metrics.conformal import figures, sets, threshold
from lm_eval_calibration.metrics.thresholds import Accepted
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report.wording import level, number, percent

COVERAGE = 0.9
"""Wanted of sets."""


class ThresholdRow(NamedTuple):
    """One threshold; texts."""

    accepted: str
    wanted: str
    threshold: str
    precision: str
    interval: str
    recall: str
    share: str


class ActingView(NamedTuple):
    """A section: where its thresholds come from, what they give, and what sets of options would."""

    source: str
    rows: list[ThresholdRow]
    sets: str = ""


def view(scope: Scope, chosen_on: Run | None) -> ActingView | None:
    """Thresholds chosen on another run's documents, or on half of the scope's own.

    Returns:
        `None` where the other run lacks a task of the scope, or one half would be empty.

    Raises:
        InvalidInputError: a document is in both runs.
    """
    sides = halves(scope) if chosen_on is None else _sides(scope, chosen_on)
    if sides is None:
        return None
    fitted_on, test = sides
    found = between(fitted_on, test)
    names = None if scope.pooled else few_classes(scope.samples[0])
    if names is not None:
        found += between(fitted_on, test, options=names)
    of = "the other half's" if chosen_on is None else "this run's"
    source = "half of these documents" if chosen_on is None else f"the run `{chosen_on.label}`"
    text = (
        f"The lowest confidence that reaches a wanted precision on {len(fitted_on):,} documents, "
        f"{source}, and what it gives on {of} {len(test):,}."
    )
    return ActingView(text, [_row(one) for one in found], _sets(fitted_on, test))


def _sets(fitted_on: Predictions, test: Predictions) -> str:
    """What conformal sets are like, in words; "" of answers without options, or of too few documents."""
    if fitted_on.options is None or test.options is None:
        return ""
    try:
        at = threshold(fitted_on, COVERAGE)
        found = figures(test, sets(test, at))
    except InvalidInputError:  # (no document has a right option)
        return ""
    if math.isinf(at):
        return ""
    right = f", of which {percent(found.single_accuracy)} are right" if found.single else ""
    return (
        f"Sets of options instead, found on the same documents (split conformal, {percent(COVERAGE)}): "
        f"{percent(found.coverage)} [{percent(found.low)}, {percent(found.high)}] of the others' hold a right option. "
        f"They have {found.size:.2f} options on average; {percent(found.single)} are a single one{right}."
    )


def _sides(scope: Scope, chosen_on: Run) -> tuple[Predictions, Predictions] | None:
    there: Mapping[str, str] = {upstream_name(task): task for task in chosen_on.samples}
    names = [there.get(upstream_name(s.task)) for s in scope.samples]
    others = [chosen_on.samples[name] for name in names if name is not None]
    if len(others) < len(names):
        return None
    for one, other in zip(others, scope.samples, strict=True):
        refuse_shared(one, other)
    return Predictions.concatenate([s.predictions for s in others]), scope.predictions


def _row(t: Threshold) -> ThresholdRow:
    head = (t.accepted, percent(t.wanted))
    if t.fitted is None or t.test is None:
        return ThresholdRow(*head, "not reached", "", "", "", "")
    precision = number(t.test.precision) if t.test.share else "none accepted"
    return ThresholdRow(
        *head, level(t.fitted.threshold), precision, _interval(t.test),
        number(t.test.recall), percent(t.test.share),
    )  # fmt: skip


def _interval(a: Accepted) -> str:
    return f"[{number(a.low)}, {number(a.high)}]" if a.share else ""
