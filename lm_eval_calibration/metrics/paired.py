"""Is one model better than another? Paired tests on the same documents.

What two models have in common, above all how hard a document is, cancels in the difference: a
paired test sees differences that two error bars side by side do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.given import Beliefs, as_predictions
from lm_eval_calibration.metrics import intervals
from lm_eval_calibration.metrics.evaluate import applicable, bind_plain, listed
from lm_eval_calibration.metrics.families import Columns, Family, Resampled
from lm_eval_calibration.metrics.grouping import (
    Array,
    Groups,
    clusters_of,
    draw_groups,
    drawn_together,
)
from lm_eval_calibration.metrics.resampling import SEED
from lm_eval_calibration.metrics.table import BoundMetric
from lm_eval_calibration.metrics.weighted import weighted_draws, weights_of
from lm_eval_calibration.predictions import Floats, Predictions

PAIRED_REPLICATES = 2000
ALPHA = 0.05
"""What an adjusted p-value is below where a difference is marked as found."""
_BLOCK = 1 << 25  # group weights drawn at a time: 128 MiB


@dataclass(frozen=True)
class Difference:
    """How a metric differs between two models on the same documents.

    Attributes:
        name: the metric.
        a, b: its value for either model.
        difference: b - a.
        low, high: the 95 % interval of the difference, around it.
        p_value: of "they do not differ", two-sided; below .05 exactly where the interval leaves
            out 0. NaN, like the interval, where the difference is undefined or infinite.
        detectable: the smallest true difference that as many documents would show in 80 of 100 cases.
    """

    name: str
    a: float
    b: float
    difference: float
    low: float
    high: float
    p_value: float
    detectable: float = math.nan


@dataclass(frozen=True)
class McNemar:
    """Documents that only one of two models answers right, and the test that they are as many."""

    only_a: int
    only_b: int
    p_value: float


def compare(
    a: Beliefs,
    b: Beliefs,
    metrics: Sequence[str] | None = None,
    *,
    truth: ArrayLike | None = None,
    scale: str | None = None,
    replicates: int = PAIRED_REPLICATES,
    clusters: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Difference]:
    """Differences b - a of metrics, with intervals and p-values of the paired bootstrap.

    A replicate draws documents with replacement, the same for both models and all metrics;
    beyond `grouping.GROUPS` documents it draws random groups of them.

    Args:
        a: predictions of the first model, N documents; or its beliefs, as `evaluate` takes them.
        b: of the second, on the same documents in the same order.
        truth: what was true, where they are no `Predictions`; of confidences, which are of answers that
            each model gives, make `Predictions` of each instead.
        scale: of options' numbers, likewise.
        metrics: names as for `evaluate`; by default all that both predictions allow.
        replicates: bootstrap replicates, at least 2. The smallest p-value is 1 / (replicates + 1).
        clusters: (N,) labels of documents that are drawn together, as for `evaluate`.
        sample_weight: (N,) how much each document counts, as for `evaluate`.
        progress: called with the name of every metric when it is done.

    Raises:
        UnknownNameError, InvalidInputError: as `evaluate`.
        InvalidInputError: different numbers of documents, or fewer than 2 replicates.
    """
    a, b = (as_predictions(each, truth, scale=scale) for each in (a, b))
    if len(a) != len(b):
        raise invalid("b", f"as long as `a` ({len(a)} documents)", f"{len(b)} documents")
    if replicates < 2:
        raise invalid("replicates", "at least 2", replicates)
    names = applicable(b, applicable(a)) if metrics is None else listed(metrics)
    bound = [bind_plain(name) for name in names]
    for metric in bound:
        if metric.null:
            raise invalid("metrics", "without `_null`", f"`{metric.name}`")
    together = clusters_of(clusters, len(a))
    if sample_weight is None:
        pairs = _Pairs(a, b, together)
    else:
        pairs = _WeightedPairs(a, b, together, weights_of(sample_weight, len(a)))
    values = {metric.name: pairs.values(metric) for metric in bound}
    errors: dict[str, list[Array]] = {metric.name: [] for metric in bound}
    for block in _blocks(replicates, pairs.groups.total):
        pairs.draw(len(block))
        for metric in bound:
            if math.isfinite(values[metric.name].difference):
                errors[metric.name].append(pairs.errors(metric))
            if progress is not None and block[-1] == replicates - 1:
                progress(metric.name)
    return {m.name: _tested(m, values[m.name], errors[m.name]) for m in bound}


class _Pairs:
    """Two models' documents in common groups, which `draw` weights anew for a block of replicates."""

    def __init__(self, a: Predictions, b: Predictions, clusters: Groups | None) -> None:
        self.models = a, b
        self.rng = np.random.default_rng(SEED)
        self.groups: Groups = drawn_together(len(a), clusters, self.rng)
        self.columns: dict[Family, list[Columns]] = {}
        self.grouped: dict[Family, list[Callable[[Array], Resampled]]] = {}
        self.resampled: dict[Family, list[Resampled]] = {}

    def values(self, bound: BoundMetric) -> Difference:
        """The metric of either model, as yet without a test."""
        family = bound.metric.family
        if family not in self.columns:
            self.columns[family] = [family.read(model) for model in self.models]
        a, b = (self.value(bound, columns) for columns in self.columns[family])
        return Difference(bound.name, a, b, b - a, math.nan, math.nan, math.nan)

    def value(self, bound: BoundMetric, columns: Columns) -> float:
        """The metric of one model."""
        return bound.value(columns)

    def draw(self, replicates: int) -> None:
        """Draw the groups of the next replicates."""
        self.weight = draw_groups(self.groups, replicates, self.rng)
        self.resampled = {}

    def errors(self, bound: BoundMetric) -> Array:
        """(replicates,) differences in these replicates, less the one they scatter around."""
        family = bound.metric.family
        if family not in self.grouped:
            self.grouped[family] = [family.grouped(c, self.groups) for c in self.columns[family]]
        if family not in self.resampled:
            self.resampled[family] = [draw(self.weight) for draw in self.grouped[family]]
        a, b = self.resampled[family]
        centre = b.centre(bound.score) - a.centre(bound.score)
        return b.draws(bound.score) - a.draws(bound.score) - centre


class _WeightedPairs(_Pairs):
    """The same of documents that do not count alike: each is drawn with its weight (N,)."""

    def __init__(
        self, a: Predictions, b: Predictions, clusters: Groups | None, weight: Floats
    ) -> None:
        super().__init__(a, b, clusters)
        self.each = weight

    def value(self, bound: BoundMetric, columns: Columns) -> float:
        """The weighted metric of one model."""
        return float(bound.score(*bound.arguments(columns), weight=self.each))

    def errors(self, bound: BoundMetric) -> Array:
        """(replicates,) differences in these replicates, less the one of all documents."""
        columns = self.columns[bound.metric.family]
        a, b = (
            weighted_draws(bound, bound.arguments(c), self.each, self.weight, self.groups)
            for c in columns
        )
        before, after = (self.value(bound, c) for c in columns)
        return b - a - (after - before)


def _blocks(replicates: int, groups: int) -> Iterator[range]:
    """The numbers of the replicates, as many at a time as have their weights in `_BLOCK`."""
    size = max(1, _BLOCK // groups)
    for start in range(0, replicates, size):
        yield range(start, min(start + size, replicates))


def _tested(bound: BoundMetric, values: Difference, errors: list[Array]) -> Difference:
    """`values` with the interval and the p-value that the replicates' errors give."""
    defined = np.concatenate([np.empty(0), *errors])
    defined = defined[np.isfinite(defined)]
    if len(defined) < 2:
        return values
    difference = values.difference
    least, most = bound.metric.bounds
    interval = intervals.Spread(math.nan, *intervals.symmetric_interval(difference, defined))
    _, low, high = interval.within((least - most, most - least), difference)
    return replace(
        values,
        low=low,
        high=high,
        p_value=intervals.p_value(difference, defined),
        detectable=intervals.detectable(float(defined.std(ddof=1))),
    )


def mcnemar(a_correct: ArrayLike, b_correct: ArrayLike) -> McNemar:
    """McNemar's exact test that two models are equally accurate, two-sided.

    Of the documents that one model alone gets right, either model has its share by the toss of
    a coin. p = 1 where there is no such document. Source: McNemar, Psychometrika 1947.

    Args:
        a_correct: (N,) whether the first model is right.
        b_correct: (N,) the same for the second, on the same documents.

    Raises:
        InvalidInputError: of different shapes, or no verdicts at all.

    >>> mcnemar([1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0])  # 2 / 2^5
    McNemar(only_a=5, only_b=0, p_value=0.0625)
    """
    from scipy.special import bdtr

    a, b = np.asarray(a_correct, dtype=bool), np.asarray(b_correct, dtype=bool)
    if a.ndim != 1:
        raise invalid(
            "a_correct", "(N,) verdicts, such as `predictions.correct`", f"shape {a.shape}"
        )
    if a.shape != b.shape:
        raise invalid("b_correct", f"of shape {a.shape}, as `a_correct`", b.shape)
    only_a, only_b = int(np.count_nonzero(a & ~b)), int(np.count_nonzero(b & ~a))
    p = min(1.0, 2.0 * float(bdtr(float(min(only_a, only_b)), only_a + only_b, 0.5)))
    return McNemar(only_a, only_b, p)


def holm(p_values: ArrayLike) -> Array:
    """(M,) p-values adjusted for being M tests at once, by Holm's step-down rule.

    Reject where one is below .05, and the chance of any false rejection is below .05. NaN stays
    NaN and is no test. Source: Holm, Scandinavian Journal of Statistics 1979.

    >>> holm([0.01, 0.04, np.nan, 0.03]).tolist()
    [0.03, 0.06, nan, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tests = np.flatnonzero(~np.isnan(p))
    order = tests[np.argsort(p[tests])]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
