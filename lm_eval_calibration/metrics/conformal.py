"""Split conformal sets: so many options of each document that the right one is among them often enough.

If documents are exchangeable with those that the threshold was found on, a set holds a right option with
the wanted probability or more, whatever the model (Vovk et al., 2005; Angelopoulos and Bates, 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.metrics.thresholds import wilson
from lm_eval_calibration.predictions import Bools, Floats, Ints, Predictions
from lm_eval_calibration.ragged import blocks, starts_of

LAC, APS = "lac", "aps"
SCORES = (LAC, APS)
FEWEST_OF_A_SIZE = 10
"""Documents of a size, for their coverage to count."""


class Sets(NamedTuple):
    """Prediction sets of N documents with T options in all.

    Attributes:
        inside: (T,) whether an option is in its document's set.
        size: (N,) of the sets.
        covered: (N,) whether a right option is in the set.
    """

    inside: Bools
    size: Ints
    covered: Bools


class SetFigures(NamedTuple):
    """What sets are like, of documents that have a right option.

    Attributes:
        documents: how many.
        coverage: share of sets that hold a right option.
        low, high: its 95 % interval (Wilson, 1927).
        size: mean over documents.
        single: share of sets of one option.
        single_accuracy: of these, how many are right; NaN without any.
        empty: share of sets of none.
        by_size: coverage by the sets' size, of sizes that at least `FEWEST_OF_A_SIZE` documents have.
    """

    documents: int
    coverage: float
    low: float
    high: float
    size: float
    single: float
    single_accuracy: float
    empty: float
    by_size: Mapping[int, float]

    @property
    def stratified(self) -> float:
        """The least coverage of a size (size-stratified coverage, Angelopoulos et al., 2021)."""
        return min(self.by_size.values(), default=math.nan)


def nonconformity(predictions: Predictions, score: str = LAC) -> Floats:
    """(T,) how ill each option fits: in a set is what is at most the threshold.

    - `lac`: 1 - p (Sadinle et al., 2019): the smallest sets on average;
    - `aps`: the mass of all options at least as probable (Romano et al., 2020, not randomised, and so
      on the safe side): sets that are large where a document is hard.

    Raises:
        InvalidInputError: another score, or predictions without options.
    """
    if score not in SCORES:
        raise invalid("score", " or ".join(SCORES), f"`{score}`")
    if predictions.options is None:
        raise InvalidInputError(
            "Sets are of options, and these predictions hold confidences only: `lm-calib thresholds --risk` "
            "has the guarantee for answers."
        )
    p = np.exp(predictions.options.values)
    if score == LAC:
        return 1.0 - p
    found = np.empty(len(p))
    for block in blocks(predictions.options.count):
        matrix = block.padded(p, 0.0)
        above = (matrix[:, None, :] >= matrix[:, :, None]) * matrix[:, None, :]
        found[block.places] = block.flat(np.minimum(above.sum(axis=2), 1.0))
    return found


def threshold(predictions: Predictions, coverage: float, score: str = LAC) -> float:
    """The ceil((n + 1) coverage)-th smallest score of n documents' right options.

    Infinite, so that sets hold every option, where there are too few documents. Of several right
    options the best fitting one counts; documents without any are left out.

    Args:
        predictions: labelled documents.
        coverage: wanted, between 0 and 1.
        score: see `nonconformity`.

    Raises:
        InvalidInputError: a coverage that cannot be, or no document has a right option.
    """
    if not 0 < coverage < 1:
        raise invalid("coverage", "above 0 and below 1", coverage)
    scores = _of_right(predictions, nonconformity(predictions, score))
    scores = np.sort(scores[np.isfinite(scores)])
    if not len(scores):
        raise invalid("predictions", "documents with a right option", "none")
    place = math.ceil((len(scores) + 1) * coverage - 1e-9)
    return math.inf if place > len(scores) else float(scores[place - 1])


def sets(predictions: Predictions, at: float, score: str = LAC) -> Sets:
    """Each document's options whose score is at most `at`."""
    found = nonconformity(predictions, score)
    options = predictions.options
    assert options is not None
    inside = found <= at + 1e-12
    size = np.add.reduceat(inside, starts_of(options.count)[:-1], dtype=np.intp)
    return Sets(inside, size, _of_right(predictions, found) <= at + 1e-12)


def figures(predictions: Predictions, found: Sets) -> SetFigures:
    """What the sets of some documents are like.

    Raises:
        InvalidInputError: no document has a right option.
    """
    known = np.isfinite(_of_right(predictions, np.zeros(len(found.inside))))
    if not known.any():
        raise invalid("predictions", "documents with a right option", "none")
    size, covered = found.size[known], found.covered[known]
    low, high = wilson(int(covered.sum()), len(covered))
    single = size == 1
    sizes, counts = np.unique(size, return_counts=True)
    return SetFigures(
        documents=len(size),
        coverage=float(covered.mean()),
        low=low,
        high=high,
        size=float(size.mean()),
        single=float(single.mean()),
        single_accuracy=float(covered[single].mean()) if single.any() else math.nan,
        empty=float((size == 0).mean()),
        by_size={
            int(n): float(covered[size == n].mean())
            for n, count in zip(sizes, counts, strict=True)
            if count >= FEWEST_OF_A_SIZE
        },
    )


def _of_right(predictions: Predictions, scores: Floats) -> Floats:
    """(N,) the least score of each document's right options; infinite without any."""
    golds = predictions.golds
    assert golds is not None
    right = np.where(golds.values, scores, np.inf)
    return np.asarray(np.minimum.reduceat(right, starts_of(golds.count)[:-1]))
