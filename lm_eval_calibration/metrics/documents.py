"""The documents of a family of metrics, resampled once for all of them; alone, or by their clusters."""

from __future__ import annotations

import functools

import numpy as np

from lm_eval_calibration.metrics import resampling
from lm_eval_calibration.metrics.families import Family
from lm_eval_calibration.metrics.grouping import Groups, draw_groups, drawn_together
from lm_eval_calibration.metrics.resampled import Columns, Draws, Resampled, clusters_smoothed
from lm_eval_calibration.ragged import Ragged, positions


class Documents:
    """The documents of one family, resampled once for all its metrics.

    Args:
        family: how they are read.
        columns: what it read.
        replicates: of them.
        drawn: whether their beliefs are probabilities, by which a calibrated model can be drawn.
        clusters: of documents that are not independent, see `grouping.clusters_of`.
    """

    def __init__(
        self,
        family: Family,
        columns: Columns,
        replicates: int,
        drawn: bool = True,
        clusters: Groups | None = None,
    ) -> None:
        self.family, self.columns, self.replicates = family, columns, replicates
        self.clusters, self._drawn = clusters, drawn

    def __len__(self) -> int:
        """How many are drawn by themselves: documents, or clusters of them."""
        return self.clusters.total if self.clusters else len(self.columns[0])

    @functools.cached_property
    def together(self) -> float:
        """By how much sums of (belief - outcome) scatter more than if documents were independent, at least 1."""
        assert self.clusters is not None
        belief, outcome = self.columns[:2]
        if isinstance(belief, Ragged):
            of = np.repeat(self.clusters.of_document, belief.count)
            cells = of * int(belief.count.max()) + positions(belief.count)
            residual = belief.values - outcome.values
        else:
            residual = np.nan_to_num(np.asarray(belief, float) - outcome)
            width = residual.shape[1] if residual.ndim == 2 else 1
            cells = np.repeat(self.clusters.of_document * width, width) + np.tile(
                np.arange(width), len(residual)
            )
            residual = residual.ravel()
        sums = np.bincount(cells, residual)
        return float(np.sqrt(max(1.0, (sums**2).sum() / max((residual**2).sum(), 1e-12))))

    @functools.cached_property
    def bootstrap(self) -> Resampled:
        """Replicates of the documents."""
        if self.clusters is None:
            return self.family.bootstrap(self.columns, self.replicates)
        rng = np.random.default_rng(resampling.SEED)
        groups = drawn_together(len(self.columns[0]), self.clusters, rng)
        weight = draw_groups(groups, self.replicates, rng)
        return self.family.grouped(self.columns, groups)(weight)

    @functools.cached_property
    def smoothed(self) -> Resampled:
        """Replicates that differ where all answers are right, or all wrong."""
        if self.clusters is None and self.family.smoothed is not None:
            return self.family.smoothed(self.columns, self.replicates)
        if self.clusters is None or self.family.smoothed is None:
            return self.bootstrap
        rng = np.random.default_rng(resampling.SEED)
        groups = drawn_together(len(self.columns[0]), self.clusters, rng)
        grouped = self.family.grouped(self.columns, groups)
        return clusters_smoothed(grouped, self.columns, groups, self.replicates)

    @functools.cached_property
    def null(self) -> Draws | None:
        """Draws of a calibrated model, where the family has them."""
        return self.family.null(self.columns, self.replicates) if self._drawn else None
