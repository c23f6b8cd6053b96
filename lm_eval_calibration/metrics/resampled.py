"""Documents, or cells of them, under the weights of replicates: made once for many metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lm_eval_calibration.metrics import checks, resampling
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.grouping import Groups, GroupWeights, draw_groups, random_groups

Columns = tuple[Array, ...]
IMAGINED = 64
"""So many confidences stand for all."""
Score = Callable[..., Any]
Draws = Callable[[Score], Array]
"""Scores (B,) of B sets of documents, for any metric of the family."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """Documents, or cells of them, with B weights for each and those of every document once."""

    columns: Columns
    weight: Array | GroupWeights
    once: Array | GroupWeights

    def draws(self, score: Score) -> Array:
        """(B,) scores of the replicates."""
        return score(*self.columns, weight=self.weight)

    def centre(self, score: Score) -> float:
        """The score that they scatter around."""
        return float(score(*self.columns, weight=self.once)[0])


def labelled_bootstrap(columns: Columns, replicates: int) -> Resampled:
    """(confidence, label...) columns as cells of equal documents, drawn multinomially."""
    group = resampling.cells(*columns)
    weight = resampling.bootstrap_weights(group.counts, replicates)
    return Resampled((group.confidence, *group.labels), weight, group.counts[None])


def labelled_smoothed(columns: Columns, replicates: int) -> Resampled:
    """The same of (confidence, correct), drawn from one document more than there are.

    It has the confidence of any of them, and is right with probability 1/2: so replicates differ where
    all documents are right, or all wrong, as they may in others that were not seen.
    """
    group, added = resampling.cells(*columns), _imagined(columns[0])
    weight = resampling.bootstrap_weights(group.counts, replicates, imagined=len(added[0]))
    return _with((group.confidence, *group.labels), added, weight, group.counts)


def clusters_smoothed(
    grouped: Callable[[Array], Resampled], columns: Columns, clusters: Groups, replicates: int
) -> Resampled:
    """The same of clusters of documents: drawn from one more, of the average size."""
    rng = np.random.default_rng(resampling.SEED)
    drawn = draw_groups(clusters, replicates, rng, imagined=1)
    seen, added = grouped(drawn[:, :-1]), _imagined(columns[0])
    size, likely = len(columns[0]) / clusters.total, np.full(len(added[0]), 1 / len(added[0]))
    of_added = size * rng.multinomial(drawn[:, -1].astype(int), likely)
    weight = np.concatenate([np.asarray(seen.weight), of_added], axis=1)
    return _with(seen.columns, added, weight, np.asarray(seen.once)[0])


def _with(columns: Columns, added: Columns, weight: Array, once: Array) -> Resampled:
    """Documents and those that are imagined, which do not stand among them once."""
    together = tuple(np.append(a, b) for a, b in zip(columns, added, strict=True))
    return Resampled(
        together, weight.view(checks.Drawn), np.append(once, np.zeros(len(added[0])))[None]
    )


def _imagined(confidence: Array) -> Columns:
    """(confidence, correct) of documents that stand for any other: right ones, and as many wrong ones."""
    places = np.linspace(0, len(confidence) - 1, min(len(confidence), IMAGINED)).astype(np.intp)
    some = np.sort(confidence)[places]
    return np.tile(some, 2), np.repeat([1.0, 0.0], len(some))


def labelled_grouped(columns: Columns, groups: Groups) -> Callable[[Array], Resampled]:
    """Documents as they are, if each is a group and they are few; else cells of them again.

    Cells have the weights that their documents' groups give them.
    """
    if groups.total == len(columns[0]) <= resampling.CELLS:
        once = np.ones((1, groups.total))
        return lambda weight: Resampled(
            columns, weight.astype(np.float64, copy=False).view(checks.Drawn), once
        )
    from scipy.sparse import csr_array

    cells = resampling.cells(*columns, separate_up_to=0)
    cell_of = np.repeat(np.arange(len(cells.counts)), cells.counts)
    where = cell_of, groups.of_document[cells.members]
    held = csr_array((np.ones(len(cell_of), np.float32), where), (len(cells.counts), groups.total))

    def resampled(weight: Array) -> Resampled:
        blocks = np.array_split(weight, max(1, len(weight) // 128))
        drawn = np.concatenate([(held @ block.T).T.astype(np.float64) for block in blocks])
        return Resampled(
            (cells.confidence, *cells.labels), drawn.view(checks.Drawn), cells.counts[None]
        )

    return resampled


def labelled_null(columns: Columns, replicates: int) -> Draws:
    """Each document is right with probability equal to its confidence."""
    confidence, _, *labels = columns
    group = resampling.cells(confidence, *labels)
    weight = resampling.null_weights(group, replicates)
    correct = np.repeat([1.0, 0.0], len(group.counts))
    twice = [np.tile(column, 2) for column in (group.confidence, *group.labels)]
    return lambda score: score(twice[0], correct, *twice[1:], weight=weight)


def documents_bootstrap(columns: Columns, replicates: int) -> Resampled:
    """Documents, or random groups of them, drawn with replacement."""
    rng = np.random.default_rng(resampling.SEED)
    groups = random_groups(len(columns[0]), rng)
    return documents_grouped(columns, groups)(draw_groups(groups, replicates, rng))


def documents_grouped(columns: Columns, groups: Groups) -> Callable[[Array], Resampled]:
    """Any columns, with the weights of their documents' groups: for metrics that are sums."""
    once = GroupWeights(groups, np.ones((1, groups.total)))
    return lambda weight: Resampled(columns, GroupWeights(groups, weight), once)
