"""How the harness pools a metric over documents: a callable with a standard error of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.clusters import numbered
from lm_eval_calibration.metrics.grouping import clusters_of
from lm_eval_calibration.metrics.resampling import REPLICATES, replicates_of
from lm_eval_calibration.metrics.table import BoundMetric


class Clustered(NamedTuple):
    """The row of a document that belongs together with others, as the harness gathers it.

    least: clusters from which they are drawn as such; with fewer each document is drawn by itself.
    """

    row: Any
    cluster: str
    least: int = 2


class Aggregation:
    """Pools the logged rows of one metric; an entry of a task's `aggregation()`.

    The harness calls it with one row per document. Its own bootstrap knows nothing of our
    metrics (a closed list) and would take minutes; `stderr` answers instead, through the patch
    in `harness.patches`.
    """

    def __init__(self, bound: BoundMetric) -> None:
        self.bound = bound
        self.__name__ = bound.name  # the harness prints it

    def __call__(self, rows: Sequence[Any]) -> float:
        """The metric over all documents."""
        return self.bound.value(self.bound.columns(_plain(rows)))

    def stderr(self, rows: Sequence[Any], replicates: int = REPLICATES) -> float | str:
        """Its standard error; the harness's "N/A" where there is none.

        `replicates` is the harness's `bootstrap_iters`, of which at most 1,000 are used: they
        give the error bar to about 2 %.
        """
        columns, labels = self.bound.columns(_plain(rows)), None
        if rows and all(isinstance(row, Clustered) for row in rows):
            labels = numbered([row.cluster for row in rows])
            labels = labels if labels.max() + 1 >= rows[0].least else None
        clusters = clusters_of(labels, len(rows))
        stderr = self.bound.stderr(columns, replicates_of(replicates), clusters)
        return stderr if math.isfinite(stderr) else "N/A"


def _plain(rows: Sequence[Any]) -> list[Any]:
    return [row.row if isinstance(row, Clustered) else row for row in rows]
