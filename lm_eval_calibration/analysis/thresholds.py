"""Thresholds that reach a wanted precision on some documents, and what they give on others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.run import Samples, Scope
from lm_eval_calibration.metrics.thresholds import Accepted, accept, reach
from lm_eval_calibration.predictions import Bools, Floats, Predictions

PRECISIONS = (0.8, 0.9, 0.95)
ANSWERS = "any answer"
MOST_CLASSES = 10


class Threshold(NamedTuple):
    """Of all answers by their confidence, or of one option's probability against the rest.

    fitted, test: `None` where the precision cannot be reached.
    """

    accepted: str
    wanted: float
    fitted: Accepted | None
    test: Accepted | None


def between(
    fitted_on: Predictions,
    test: Predictions,
    precisions: Sequence[float] = PRECISIONS,
    options: Sequence[str] | None = None,
) -> list[Threshold]:
    """Choose thresholds on some predictions and judge them on others.

    Args:
        fitted_on: documents of a task to choose on.
        test: others of it, to judge on.
        precisions: wanted, each above 0 and at most 1.
        options: their names, for a threshold of each against the rest; else one of all answers.

    Raises:
        InvalidInputError: as `reach`.
    """
    sides = zip(_columns(fitted_on, options), _columns(test, options), strict=True)
    found = []
    for (name, scores, positive), (_, others, truth) in sides:
        for wanted in precisions:
            at = reach(scores, positive, wanted)
            fitted = None if at is None else accept(scores, positive, at)
            found.append(
                Threshold(name, wanted, fitted, None if at is None else accept(others, truth, at))
            )
    return found


def halves(scope: Scope) -> tuple[Predictions, Predictions] | None:
    """A scope's documents in two: by a bit of their hashes, else in turn; `None` if one is empty.

    A document that stands twice is on one side, and on the same one in every run.
    """
    sides = np.concatenate([_side(samples) for samples in scope.samples])
    if sides.all() or not sides.any():
        return None
    p = scope.predictions
    return p.take(np.flatnonzero(~sides)), p.take(np.flatnonzero(sides))


def classes(samples: Samples) -> tuple[str, ...]:
    """The options, if they are those of every document and names of something.

    Raises:
        InvalidInputError: confidences alone are known, or options differ between documents.
    """
    if samples.predictions.options is None:
        raise InvalidInputError(f"`{samples.task}` ({samples.path}) logged confidences alone.")
    first, last = read_documents(samples, [0, len(samples) - 1])
    count = samples.predictions.num_options
    if first.options != last.options or (count is not None and count.min() != count.max()):
        raise InvalidInputError(
            f"`{samples.task}`: the options differ from document to document, so they are no "
            "classes."
        )
    return first.options


def few_classes(samples: Samples) -> tuple[str, ...] | None:
    """`classes`, where there are few and their names are more than letters; else `None`."""
    try:
        names = classes(samples)
    except (InvalidInputError, BadLineError):
        return None
    told = any(len(name) > 1 for name in names)
    return names if told and len(names) <= MOST_CLASSES else None


def refuse_shared(a: Samples, b: Samples) -> None:
    """Raises `InvalidInputError` if a document is in both."""
    both = len(np.intersect1d(a.doc_hash, b.doc_hash))
    if a.path == b.path and not len(a.doc_hash):
        both = len(b)  # (a table's rows against themselves)
    if both:
        raise InvalidInputError(
            f"{both:,} document(s) of `{b.task}` are in both runs: a threshold that was chosen on "
            "them flatters itself. Test it on others."
        )


def _side(samples: Samples) -> Bools:
    hashes = samples.doc_hash
    if len(hashes) != len(samples):
        hashes = np.arange(len(samples), dtype=np.uint64)
    return (hashes & np.uint64(1)).astype(bool)


def _columns(p: Predictions, options: Sequence[str] | None) -> list[tuple[str, Floats, Bools]]:
    """(what is accepted, scores, positives)."""
    if options is None:
        return [(ANSWERS, p.confidence, np.asarray(p.correct, dtype=bool))]
    count = p.num_options
    if count is None or count.min() != len(options) or count.max() != len(options):
        raise InvalidInputError(f"The predictions are not on the options {', '.join(options)}.")
    probabilities, gold = p.probabilities, p.gold
    assert probabilities is not None and gold is not None
    return [(name, probabilities[:, k], gold[:, k]) for k, name in enumerate(options)]
