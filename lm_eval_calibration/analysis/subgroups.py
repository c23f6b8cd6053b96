"""Metrics of groups of documents: which of them differ from the others, and multicalibration over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.fields import field_of
from lm_eval_calibration.logs.run import Scope
from lm_eval_calibration.metrics import intervals
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.documents import Documents
from lm_eval_calibration.metrics.evaluate import Estimate, NullBand, applicable, evaluate
from lm_eval_calibration.metrics.grouping import Groups, clusters_of, drawn_together
from lm_eval_calibration.metrics.paired import holm
from lm_eval_calibration.metrics.resampling import SEED
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.predictions import Predictions

SUBGROUP_METRICS = ("acc", "nll", "ece", "auroc")
FEWEST_OF_A_GROUP = 20
"""Documents of a group that is told apart from others."""


@dataclass(frozen=True)
class Group:
    """The documents of one value of a field.

    Attributes:
        value: of the field; documents: how many.
        estimates: by metric.
        p_values: by metric, of "as many documents drawn from all would differ from the rest as much",
            adjusted (Holm) over all groups and metrics; NaN where it is undefined.
    """

    value: str
    documents: int
    estimates: dict[str, Estimate]
    p_values: dict[str, float]


@dataclass(frozen=True)
class Multicalibration:
    """The largest calibration error of a group, weighted by its share of the documents.

    value: max over groups of n_g / N times its `ece`; null: of a perfectly calibrated model; group: whose.
    """

    value: float
    null: NullBand
    group: str


@dataclass(frozen=True, eq=False)
class Subgroups:
    """A scope by the values of a field.

    Attributes:
        scope: a task, or a group's documents pooled.
        field: its name.
        groups: of `FEWEST_OF_A_GROUP` documents or more, the largest first.
        small: how many values have fewer, and `left_over` how many documents these are.
        multicalibration: `None` of scores that are no probabilities.
    """

    scope: Scope
    field: str
    groups: tuple[Group, ...]
    small: int
    left_over: int
    multicalibration: Multicalibration | None


def by_field(
    scope: Scope, name: str, metrics: Sequence[str] | None = None, *, replicates: int = 1000
) -> Subgroups | None:
    """The metrics of each group of documents that have the same value in a field.

    A group differs if it differs from the rest by more than as many documents that were drawn from all at
    random do (a permutation test: small groups have larger calibration errors by their size alone).

    Multicalibration: Hebert-Johnson et al., ICML 2018, where a model is alpha-multicalibrated if no group's
    calibration error times its share of the documents exceeds alpha.

    Args:
        scope: whose documents.
        name: of the field, see `logs.fields.field_of`.
        metrics: plain names as for `evaluate`; by default those of `SUBGROUP_METRICS` that the documents allow.
        replicates: of the bootstrap, the permutations and the null.

    Returns:
        `None` where all documents have the same value.

    Raises:
        InvalidInputError: as `field_of`; no group of `FEWEST_OF_A_GROUP` documents.
    """
    values = np.concatenate([field_of(samples, name) for samples in scope.samples])
    different, count = np.unique(values.astype(str), return_counts=True)
    if len(different) < 2:
        return None
    shown = [
        different[i] for i in np.argsort(-count, kind="stable") if count[i] >= FEWEST_OF_A_GROUP
    ]
    if not shown:
        raise InvalidInputError(
            f"No value of `{name}` has {FEWEST_OF_A_GROUP} documents or more: it has {len(different):,} values in "
            f"{len(values):,} documents. Name a field with fewer."
        )
    names = applicable(scope.predictions, metrics or SUBGROUP_METRICS)
    if not names:
        raise InvalidInputError(
            f"None of {', '.join(metrics or SUBGROUP_METRICS)} can be had of these documents."
        )
    rows = [np.flatnonzero(values.astype(str) == value) for value in shown]
    p_values = _p_values(scope, names, rows, replicates)
    groups = tuple(
        _group(scope, value, r, names, p, replicates)
        for value, r, p in zip(shown, rows, p_values, strict=True)
    )
    left_over = len(values) - sum(map(len, rows))
    over_all = _multicalibration(scope, shown, rows, replicates)
    small = len(different) - len(shown)
    return Subgroups(scope, name, groups, small, left_over, over_all)


def _group(
    scope: Scope, value: str, rows: Array, names: Sequence[str], p: Array, replicates: int
) -> Group:
    clusters = None if scope.clusters is None else scope.clusters[rows]
    p_values = dict(zip(names, p.tolist(), strict=True))
    documents = scope.predictions.take(rows)
    found = evaluate(documents, names, replicates=replicates, clusters=clusters)
    return Group(value or "(none)", len(rows), found, p_values)


def _p_values(scope: Scope, names: Sequence[str], rows: Sequence[Array], replicates: int) -> Array:
    """(G, K) p-values of each group and metric, adjusted over all."""
    count = len(scope.predictions)
    rng = np.random.default_rng(SEED)
    together = drawn_together(count, clusters_of(scope.clusters, count), rng)
    order = np.argsort(rng.random((replicates, together.total)), axis=1)
    bound = [bind(name) for name in names]
    p = [
        [_differs(scope.predictions, metric, r, together, order) for metric in bound] for r in rows
    ]
    return holm(np.ravel(p)).reshape(len(rows), len(names))


def _differs(
    predictions: Predictions, bound: BoundMetric, rows: Array, together: Groups, order: Array
) -> float:
    """How rare it is that so many documents at random differ from the rest as much."""
    family = bound.metric.family
    columns, count = family.read(predictions), len(predictions)
    chosen = np.zeros(count, dtype=np.float32)
    chosen[rows] = 1.0
    each = family.grouped(columns, Groups(np.arange(count), count))
    own = chosen[None], 1.0 - chosen[None]
    value = float(np.subtract(*(each(weight).draws(bound.score)[0] for weight in own)))
    size = np.bincount(together.of_document, minlength=together.total)
    taken = (np.cumsum(size[order], axis=1) <= len(rows)).astype(np.float32)
    drawn = np.zeros_like(taken)
    np.put_along_axis(drawn, order, taken, axis=1)
    grouped = family.grouped(columns, together)
    random = grouped(drawn).draws(bound.score) - grouped(1.0 - drawn).draws(bound.score)
    random = random[np.isfinite(random)]
    if not np.isfinite(value) or len(random) < 2:
        return float("nan")
    centre = float(random.mean())  # (of a calibration error above 0: smaller sets have larger ones)
    return intervals.p_value(value - centre, random - centre)


def _multicalibration(
    scope: Scope, values: Sequence[str], rows: Sequence[Array], replicates: int
) -> Multicalibration | None:
    predictions = scope.predictions
    if predictions.are_scores:
        return None
    bound, rng = bind("ece"), np.random.default_rng(SEED)
    found, drawn = [], []
    for r in rows:
        part = bound.metric.family.read(predictions.take(r))
        share = len(r) / len(predictions)
        found.append(share * bound.value(part))
        clusters = None if scope.clusters is None else clusters_of(scope.clusters[r], len(r))
        null = bound.draw_null(Documents(bound.metric.family, part, replicates, True, clusters))
        drawn.append(share * rng.permutation(null))
    most, draws = int(np.argmax(found)), np.max(drawn, axis=0)
    _, low, high = intervals.band(draws)
    return Multicalibration(found[most], NullBand(float(draws.mean()), low, high), values[most])
