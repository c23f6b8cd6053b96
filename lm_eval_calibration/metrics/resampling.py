"""Bootstrap replicates and null draws of a metric, vectorised over replicates.

Documents with nearly equal confidence are interchangeable for the purpose of an error bar, so
both work on at most `CELLS` cells of documents: exactly one per distinct (confidence, verdict) up
to that many, and beyond it blocks of neighbours represented by their mean confidence. A replicate
is a row of cell weights, drawn multinomially (bootstrap) or binomially (null).

Up to `LARGE` documents the blocks are those of right answers and those of wrong ones apart. In
larger blocks the two would differ in their mean confidence by more than an error bar of so many
documents, and a block would cross several bins: there, blocks end at the bins' edges, and right
and wrong answers in one share its mean confidence.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.metrics.binning import NUM_BINS, Array, equal_width_bins, tie_groups

CELLS = 2048
LARGE = 50_000
REPLICATES = 1000
SEED = 20240601


def replicates_of(asked_for: int) -> int:
    """As many as the harness asks for (its `bootstrap_iters`), from 2 to `REPLICATES`."""
    return max(2, min(asked_for, REPLICATES))


class Cells(NamedTuple):
    """Groups of interchangeable documents.

    confidence (G,) their mean confidence; labels: one (G,) array per discrete column, as given;
    counts (G,) how many documents each holds; members (N,) the cells' documents, cell after cell.
    """

    confidence: Array
    labels: tuple[Array, ...]
    counts: Array
    members: Array


def cells(
    confidence: Array, *labels: Array, limit: int = CELLS, separate_up_to: int = LARGE
) -> Cells:
    """Group documents by `labels` and, within equal labels, by confidence; `limit` cells at most.

    (One for each distinct label at the least.) Equal confidences stay equal to the last bit.
    """
    order = np.lexsort((confidence, *labels))
    c = confidence[order]
    sorted_labels = tuple(label[order] for label in labels)
    new_label = _changes(*sorted_labels) if labels else _first(len(c))
    new = new_label | _changes(c)
    if int(new.sum()) > limit and len(c) > separate_up_to:
        few = levels(confidence, limit // _distinct(*labels) - NUM_BINS)
        return cells(few, *labels, limit=len(c))
    if int(new.sum()) > limit:
        blocks = max(1, limit + 1 - int(new_label.sum()))
        new = new_label | _changes(np.arange(len(c)) * blocks // len(c))
    starts = np.flatnonzero(new)
    counts = np.diff(np.append(starts, len(c)))
    return Cells(_means(c, starts), tuple(label[starts] for label in sorted_labels), counts, order)


def levels(confidence: Array, limit: int) -> Array:
    """(N,) confidences, each replaced by the mean of its block of neighbours; `limit` blocks.

    Ties stay together, and blocks also end at the edges of the `NUM_BINS` equal-width bins. Up
    to `limit` different values stay as they are.
    """
    order = np.argsort(confidence)
    c = confidence[order]
    start, run = tie_groups(c)
    if len(start) <= limit:
        return confidence
    block = start * max(limit, 1) // len(c)
    new = _changes(block[run], equal_width_bins(c, NUM_BINS))
    starts = np.flatnonzero(new)
    result = np.empty_like(c)
    result[order] = _means(c, starts)[np.cumsum(new) - 1]
    return result


def _means(ordered: Array, starts: Array) -> Array:
    """(G,) mean of each block of a sorted (N,) array; of equal values that value, to the bit."""
    counts = np.diff(np.append(starts, len(ordered)))
    first, last = ordered[starts], ordered[starts + counts - 1]
    return np.clip(np.add.reduceat(ordered, starts) / counts, first, last)


def _distinct(*labels: Array) -> int:
    """How many combinations of labels there may be, at least 1."""
    return int(np.prod([len(np.unique(label)) for label in labels]))


def bootstrap_weights(
    counts: Array, replicates: int, seed: int = SEED, *, imagined: int = 0
) -> Array:
    """(replicates, G + imagined) cell counts of documents drawn with replacement. Deterministic.

    The last `imagined` cells are together worth one document more to draw from.
    """
    return _bootstrap_weights(counts.astype(np.int64).tobytes(), replicates, seed, imagined)


@lru_cache(maxsize=4)  # the metrics of one battery share their documents, hence their draws
def _bootstrap_weights(counts: bytes, replicates: int, seed: int, imagined: int) -> Array:
    n = np.frombuffer(counts, dtype=np.int64)
    rng = np.random.default_rng(seed)
    likely = np.append(n, np.full(imagined, 1 / max(imagined, 1)))
    drawn = rng.multinomial(n.sum(), likely / likely.sum(), size=replicates).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def null_weights(group: Cells, replicates: int, seed: int = SEED) -> Array:
    """(replicates, 2 G) counts of right, then of wrong answers of a calibrated model, per cell."""
    counts = group.counts.astype(np.int64).tobytes()
    return _null_weights(counts, group.confidence.tobytes(), replicates, seed)


@lru_cache(maxsize=2)
def _null_weights(counts: bytes, confidence: bytes, replicates: int, seed: int) -> Array:
    n, p = np.frombuffer(counts, dtype=np.int64), np.frombuffer(confidence)
    right = np.random.default_rng(seed).binomial(n, p, size=(replicates, len(n)))
    drawn = np.concatenate([right, n - right], axis=1).astype(np.float64)
    drawn.flags.writeable = False
    return drawn


def _changes(*columns: Array) -> Array:
    """(N,) True where any column differs from the row before; True in the first row."""
    new = _first(len(columns[0]))
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _first(count: int) -> Any:
    new = np.zeros(count, dtype=bool)
    new[0] = True
    return new
