"""Conformal sets of a run, by a threshold that was found on other documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lm_eval_calibration.analysis.thresholds import parted, refuse_shared
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.metrics.conformal import SetFigures, Sets, figures, sets, threshold
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Predictions

POOLED = "all documents"


class TaskSets(NamedTuple):
    """The sets of a task's documents, or of all.

    Attributes:
        task: its name.
        fitted_on: how many documents the threshold was found on.
        threshold: of the score; infinite where these were too few.
        figures: what the sets are like.
        sets: themselves.
        samples: of the test; `None` of all documents.
    """

    task: str
    fitted_on: int
    threshold: float
    figures: SetFigures
    sets: Sets
    samples: Samples | None = None


def between(fitted_on: Run, test: Run | None, coverage: float, score: str) -> list[TaskSets]:
    """The sets of every task that both runs have; and of several, of all documents by one threshold.

    Args:
        fitted_on: labelled.
        test: of other documents; `None` for half of each task's, by their hashes.
        coverage: wanted.
        score: see `metrics.conformal`.

    Raises:
        InvalidInputError: no task in common, documents in both, confidences alone, or as `threshold`.
    """
    pairs = _halves(fitted_on) if test is None else _common(fitted_on, test)
    found = [
        _of(task, one.predictions, other.predictions, coverage, score)._replace(samples=other)
        for task, (one, other) in pairs.items()
    ]
    return [*found, *([_pooled(pairs, coverage, score)] if len(pairs) > 1 else [])]


Pairs = dict[str, tuple[Samples, Samples]]


def _halves(run: Run) -> Pairs:
    pairs = {upstream_name(task): parted(samples) for task, samples in run.samples.items()}
    known = {task: pair for task, pair in pairs.items() if pair is not None}
    if not known:
        raise InvalidInputError(
            "There are too few documents to part them in two: give --test another run."
        )
    return known


def _common(fitted_on: Run, test: Run) -> Pairs:
    there = {upstream_name(task): s for task, s in test.samples.items()}
    pairs = {
        upstream_name(task): (samples, there[upstream_name(task)])
        for task, samples in fitted_on.samples.items()
        if upstream_name(task) in there
    }
    if not pairs:
        raise InvalidInputError(
            f"The runs have no task in common: {', '.join(fitted_on.samples)} and {', '.join(test.samples)}."
        )
    for one, other in pairs.values():
        refuse_shared(one, other)
    return pairs


def _of(
    task: str, fitted_on: Predictions, test: Predictions, coverage: float, score: str
) -> TaskSets:
    at = threshold(fitted_on, coverage, score)
    made = sets(test, at, score)
    return TaskSets(task, len(fitted_on), at, figures(test, made), made)


def _pooled(pairs: Mapping[str, tuple[Samples, Samples]], coverage: float, score: str) -> TaskSets:
    one, other = (
        Predictions.concatenate([pair[side].predictions for pair in pairs.values()])
        for side in (0, 1)
    )
    return _of(POOLED, one, other, coverage, score)
