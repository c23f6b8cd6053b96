"""Thresholds that reach a wanted precision on some documents, and what they give on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_documents
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.run import Samples, Scope
from lm_eval_calibration.metrics.thresholds import Accepted, accept, guarantee, reach
from lm_eval_calibration.names import of_task
from lm_eval_calibration.predictions import Bools, Floats, Ints, Predictions

PRECISIONS = (0.8, 0.9, 0.95)
ANSWERS = "any answer"
MOST_CLASSES = 10


class Threshold(NamedTuple):
    """Of all answers by their confidence, or of one option's probability against the rest.

    fitted, test: `None` where the precision cannot be reached.
    promised: whether it is sure at 95 % that the precision is reached on documents of the same kind.
    """

    accepted: str
    wanted: float
    fitted: Accepted | None
    test: Accepted | None
    promised: bool = False


def between(
    fitted_on: Predictions,
    test: Predictions,
    precisions: Sequence[float] = PRECISIONS,
    options: Sequence[str] | None = None,
    risks: Sequence[float] = (),
) -> list[Threshold]:
    """Choose thresholds on some predictions and judge them on others.

    Args:
        fitted_on: documents of a task to choose on.
        test: others of it, to judge on.
        precisions: wanted, each above 0 and at most 1.
        options: their names, for a threshold of each against the rest; else one of all answers.
        risks: shares of wrong ones among the accepted: of each the plain threshold of that precision, and
            the one that keeps a promise.

    Raises:
        InvalidInputError: as `reach`.
    """
    columns = zip(_columns(fitted_on, options), _columns(test, options), strict=True)
    found: list[Threshold] = []
    for (name, scores, positive), (_, others, truth) in columns:
        plain = [(wanted, reach(scores, positive, wanted), False) for wanted in precisions]
        kept = [
            (1 - risk, at, promised)
            for risk in risks
            for promised, at in (
                (False, reach(scores, positive, 1 - risk)),
                (True, guarantee(scores, positive, risk)),
            )
        ]
        for wanted, at, promised in (*plain, *kept):
            chosen, judged = (
                None if at is None else accept(*side, at)
                for side in ((scores, positive), (others, truth))
            )
            found.append(Threshold(name, wanted, chosen, judged, promised))
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


def parted(samples: Samples) -> tuple[Samples, Samples] | None:
    """A task's documents in two, as `halves`; `None` if one is empty."""
    sides = _side(samples)
    if sides.all() or not sides.any():
        return None
    one, other = (_rows(samples, np.flatnonzero(rows)) for rows in (~sides, sides))
    return one, other


def _rows(samples: Samples, rows: Ints) -> Samples:
    kept: dict[str, Any] = {
        name: column[rows] if len(column) == len(samples) else column
        for name, column in (("doc_hash", samples.doc_hash), ("offset", samples.offset))
    }
    return replace(samples, predictions=samples.predictions.take(rows), normalised={}, **kept)


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
    both = int(np.isin(b.doc_hash, a.doc_hash).sum()) if len(b.doc_hash) else 0
    if a.path == b.path and not len(a.doc_hash):
        both = len(b)  # (a table's rows against themselves)
    if both:
        raise InvalidInputError(
            f"{both:,} document(s){of_task(b.task)} are in both runs: a threshold that was chosen on "
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
