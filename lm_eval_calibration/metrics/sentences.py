"""Figures of sentences' scores, pooled over documents, with error bars that keep documents whole.

The sentences of a document stand or fall together, so a bootstrap draws documents, not sentences.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics.binned import ece
from lm_eval_calibration.metrics.detection import average_precision
from lm_eval_calibration.metrics.intervals import NONE, Spread, bootstrap_spread
from lm_eval_calibration.metrics.resampling import REPLICATES, SEED
from lm_eval_calibration.metrics.selective import auroc
from lm_eval_calibration.predictions import Bools, Floats, Ints

_CELLS = 4_000_000
"""Numbers in a block of replicates."""


class ScoredSentences(NamedTuple):
    """Sentences with known labels.

    scores: (M,) probability of being right; right: (M,); owner: (M,) the document of each, from
    0 to `documents` - 1.
    """

    scores: Floats
    right: Bools
    owner: Ints
    documents: int


def scored(rows: Sequence[Sequence[Sequence[float]]]) -> ScoredSentences:
    """Documents' (score, label) pairs as columns.

    Args:
        rows: for each document the pairs of its sentences; a label of NaN leaves a sentence out.

    Raises:
        InvalidInputError: a score outside [0, 1].
    """
    owner = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    pairs = [pair for row in rows for pair in row]
    columns = np.asarray(pairs, dtype=np.float64).reshape(-1, 2)
    known = ~np.isnan(columns[:, 1])
    scores, labels = columns[known].T
    if not ((scores >= 0) & (scores <= 1)).all():
        raise invalid("scores", "from 0 to 1", scores[~((scores >= 0) & (scores <= 1))][0])
    return ScoredSentences(scores, labels > 0.5, owner[known], len(rows))


def sentence_auroc(s: ScoredSentences, weight: Floats | None = None) -> Any:
    """Probability that a right sentence scores above a wrong one, ties half; NaN without both."""
    return auroc(s.scores, s.right, weight=weight) if len(s.scores) else math.nan


def sentence_auprc(s: ScoredSentences, weight: Floats | None = None) -> Any:
    """Average precision of finding the wrong sentences by their low scores; NaN without any."""
    w = np.ones((1, len(s.scores))) if weight is None else weight
    distinct, level = np.unique(s.scores, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[order], np.arange(len(distinct)))
    wrong = np.add.reduceat((w * ~s.right)[:, order], starts, axis=1)
    right = np.add.reduceat((w * s.right)[:, order], starts, axis=1)
    with np.errstate(invalid="ignore"):
        found = average_precision(wrong, right)
    return found if weight is not None else float(found[0])


def sentence_ece(s: ScoredSentences, weight: Floats | None = None) -> Any:
    """Expected calibration error of sentences' scores, in 15 bins."""
    return ece(s.scores, s.right, weight=weight)


FIGURES: dict[str, tuple[Callable[..., Any], bool | None]] = {
    "sentence_auroc": (sentence_auroc, True),
    "sentence_auprc": (sentence_auprc, True),
    "sentence_ece": (sentence_ece, False),
}
"""By name: the function, and whether higher is better."""


def spread(name: str, s: ScoredSentences, replicates: int = REPLICATES, seed: int = SEED) -> Spread:
    """The error bar of a figure: a bootstrap over documents."""
    function = FIGURES[name][0]
    value = float(function(s))
    if s.documents < 2 or math.isnan(value):
        return NONE
    rng = np.random.default_rng(seed)
    block = max(1, _CELLS // max(1, len(s.scores)))
    even = np.full(s.documents, 1 / s.documents)
    draws = []
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        counts = rng.multinomial(s.documents, even, size=size).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            draws.append(np.asarray(function(s, counts[:, s.owner])))
    found = bootstrap_spread(value, np.concatenate(draws), value, name == "sentence_ece")
    return found.within((0.0, 1.0), value)
