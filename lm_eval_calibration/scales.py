"""Whether options' numbers are probabilities, their logarithms, or any logits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.ragged import Ragged, starts_of

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
SCALES = ("logits", "log_probs", "probs")
ROUNDING = 0.005
"""Of each option: probabilities of two digits still add up to 1 within it."""
_TINY = 1e-6
_SAY = "Say which: --scale probs, --scale log_probs or --scale logits (in Python `scale`)"


class Scale(NamedTuple):
    """scale: one of `SCALES`; note: why, where it was found."""

    scale: str
    note: str = ""


def found(scores: Ragged, rows: NDArray[np.int64]) -> Scale:
    """The scale that the numbers of all rows tell.

    Args:
        scores: of options, finite or -inf.
        rows: (N,) their numbers in the file, for messages.

    Raises:
        InvalidInputError: they may be of two.
    """
    values = scores.values
    if (values >= 0).all():
        return _not_negative(scores, rows)
    sums = _sums(np.exp(np.minimum(values, 1)), scores)
    if (values <= 0).all() and (sums <= 1 + 2 * ROUNDING).all():
        return _said(
            "log_probs", "none is above 0, and no row's probabilities add up to more than 1"
        )
    return _said("logits", "they are no probabilities, nor logarithms of any")


def _not_negative(scores: Ragged, rows: NDArray[np.int64]) -> Scale:
    sums = _sums(scores.values, scores)
    off = np.abs(sums - 1) > ROUNDING * scores.count + _TINY
    if (scores.values <= 1).all():
        if not off.any():
            return _said("probs", "all are in [0, 1], and every row adds up to 1")
        row = int(off.argmax())
        raise InvalidInputError(
            f"The options' numbers are in [0, 1], but not every row adds up to 1 (row {rows[row]}: "
            f"{sums[row]:.6g}), so they may be probabilities or logits. {_SAY}."
        )
    if (scores.values <= 100).all() and (np.abs(sums - 100) <= 100 * ROUNDING * scores.count).all():
        raise InvalidInputError(
            f"The options' numbers are percentages, it seems: every row adds up to 100. Divide them by 100. "
            f"If they are not, {_SAY[0].lower()}{_SAY[1:]}."
        )
    return _said("logits", "they are no probabilities, nor logarithms of any")


def _said(scale: str, why: str) -> Scale:
    return Scale(
        scale, f"the options' numbers are read as {scale}, because {why}; --scale says otherwise"
    )


def _sums(values: Floats, scores: Ragged) -> Floats:
    return np.asarray(np.add.reduceat(values, starts_of(scores.count)[:-1]), dtype=np.float64)


def outside(scale: str | None, matrix: Floats) -> Floats:
    """(N, K) which numbers a scale cannot hold; NaN is no number, and thus not outside."""
    bad = matrix == np.inf
    if scale == "log_probs":
        bad |= matrix > 0
    if scale == "probs":
        bad |= (matrix < 0) | (matrix > 1)
    return bad


RANGES = {"logits": "finite or -inf", "log_probs": "at most 0", "probs": "in [0, 1]"}
"""What each scale's numbers are, in words."""


def logits(scale: str, values: Floats) -> Floats:
    """(T,) what a softmax makes beliefs of."""
    if scale != "probs":
        return values
    with np.errstate(divide="ignore"):
        return np.log(values)


def losses_note(logits: Ragged, right: Ints) -> str:
    """That the smallest number is right more often than the largest, if it is, beyond chance.

    Args:
        logits: of N rows.
        right: (N,) positions of the right options.
    """
    starts = starts_of(logits.count)[:-1]
    values = logits.values[starts + right]
    largest = float((values == np.maximum.reduceat(logits.values, starts)).mean())
    smallest = float((values == np.minimum.reduceat(logits.values, starts)).mean())
    if smallest - largest <= 3 / np.sqrt(len(right)):
        return ""
    return (
        f"the smallest number is right in {smallest:.0%} of rows and the largest in {largest:.0%}: if the "
        "numbers are losses or perplexities, of which less is better, negate them"
    )


def sums_note(scores: Ragged) -> str:
    """That probabilities do not add up to 1, where they do not."""
    sums = _sums(scores.values, scores)
    if (np.abs(sums - 1) <= ROUNDING * scores.count + _TINY).all():
        return ""
    return (
        f"the options' probabilities add up to {sums.min():.3g} to {sums.max():.3g}, and are divided by "
        "their sum"
    )
