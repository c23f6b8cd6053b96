"""Several replies about one document as one statement."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lm_eval_calibration.stated import Statement
from lm_eval_calibration.verbal.parsing import ReadReply, average, uniform


def statement(
    texts: Sequence[str], replies: Sequence[ReadReply], count: int, cut: float | None = None
) -> Statement:
    """What replies say together: the mean of those that can be read, else the uniform distribution.

    Args:
        texts: the model's words.
        replies: the same as read.
        count: options.
        cut: the share of replies that were cut, where it is known.
    """
    read = [r for r in replies if r.probabilities is not None]
    notes = tuple(dict.fromkeys(note for r in (read or replies) for note in r.notes))
    if not read:
        status = "cut" if any(r.status == "cut" for r in replies) else "invalid"
        return Statement(uniform(count), status, notes, tuple(texts), cut=cut)
    repaired = any(r.status == "repaired" for r in read) or len(read) < len(replies)
    if len(read) < len(replies):
        notes += (f"{len(replies) - len(read)} of {len(replies)} replies cannot be read",)
    return Statement(
        average(r.probabilities for r in read if r.probabilities is not None),
        "repaired" if repaired else "valid",
        notes,
        tuple(texts),
        math.fsum(r.total for r in read) / len(read),
        cut,
    )
