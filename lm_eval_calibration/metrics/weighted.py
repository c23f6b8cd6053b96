"""Metrics of documents that do not count alike: survey weights, inverse propensities, copies left out.

A weight says how many documents one stands for; its scale plays a part in what is of so many documents (`aurc`,
`eaurc`, `prr`, `debiased_ece`) alone. A replicate draws documents, or clusters of them, with
replacement, each with its weight.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics import intervals, proper, resampling
from lm_eval_calibration.metrics.accuracy import wilson_interval
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.estimates import Estimate, NullBand
from lm_eval_calibration.metrics.families import Columns
from lm_eval_calibration.metrics.grouping import Groups, draw_groups
from lm_eval_calibration.metrics.intervals import Spread
from lm_eval_calibration.metrics.table import BoundMetric
from lm_eval_calibration.predictions import Floats

_BLOCK = 64
"""Replicates at a time."""


def weights_of(sample_weight: ArrayLike, count: int) -> Floats:
    """(N,) weights, as they are.

    Raises:
        InvalidInputError: not one for each document, negative or not finite, or all 0.
    """
    w = np.asarray(sample_weight, dtype=np.float64)
    if w.shape != (count,):
        raise invalid("sample_weight", f"one number for each of the {count:,} documents", w.shape)
    if not np.isfinite(w).all() or (w < 0).any() or not w.any():
        raise invalid("sample_weight", "finite, not negative and not all 0", w[:5].tolist())
    return w


def weighted_estimate(
    bound: BoundMetric,
    columns: Columns,
    weight: Floats,
    replicates: int,
    clusters: Groups | None = None,
    drawn: bool = True,
) -> Estimate:
    """A metric under weights, with standard error, interval and null band.

    Of means and accuracies the standard error is that of a ratio, linearised (Särndal et al., 1992, 5.6); of
    all others the bootstrap's.

    Args:
        bound: the metric, no `_null`.
        columns: what it reads of N documents.
        weight: (N,) see `weights_of`.
        replicates: of documents and of null draws; 0 for the value alone.
        clusters: of documents that are drawn together.
        drawn: whether beliefs are probabilities, by which a calibrated model can be drawn.

    Raises:
        InvalidInputError: a `_null` name.
    """
    if bound.null:
        raise invalid("metrics", "without `_null` where documents are weighted", f"`{bound.name}`")
    arguments = bound.arguments(columns)
    value = float(bound.score(*arguments, weight=weight))
    if not replicates:
        return Estimate(bound.name, value, *intervals.NONE, None)
    null = _null(bound, columns, weight, replicates) if drawn else None
    mean = _means(bound, columns)
    if mean is not None:
        spread = _of_mean(mean, weight, value, clusters, bound.metric.bounds == (0.0, 1.0))
    else:
        spread = _of_bootstrap(bound, arguments, weight, value, replicates, clusters, null)
    return Estimate(bound.name, value, *spread.within(bound.metric.bounds, value), _band(null))


def _means(bound: BoundMetric, columns: Columns) -> Floats | None:
    """(N,) what the metric is the mean of, NaN where a document has nothing; `None` if it is no mean."""
    if bound.metric.function is proper.mean:
        return np.asarray(columns[0], dtype=np.float64)
    return np.asarray(columns[1], dtype=np.float64) if bound.metric.name == "acc" else None


def _of_mean(
    values: Floats, weight: Floats, value: float, clusters: Groups | None, is_share: bool
) -> Spread:
    has = ~np.isnan(values)
    if not np.isfinite(value) or has.sum() < 2:
        return intervals.NONE
    residual = np.where(has, weight * (np.where(has, values, 0.0) - value), 0.0)
    total = weight[has].sum()
    if clusters is not None:
        residual = np.bincount(clusters.of_document, residual, clusters.total)
    count = len(residual)
    stderr = float(np.sqrt((residual**2).sum() * count / max(count - 1, 1)) / total)
    if is_share:
        worth = (
            value * (1 - value) / stderr**2
            if stderr
            else float(total**2 / (weight[has] ** 2).sum())
        )
        return Spread(stderr, *wilson_interval(value, worth))
    return intervals.normal_spread(value, stderr, 1.96)


def _of_bootstrap(
    bound: BoundMetric,
    arguments: Columns,
    weight: Floats,
    value: float,
    replicates: int,
    clusters: Groups | None,
    null: Array | None,
) -> Spread:
    groups = clusters or Groups(np.arange(len(weight)), len(weight))
    drawn = draw_groups(groups, replicates, np.random.default_rng(resampling.SEED))
    draws = weighted_draws(bound, arguments, weight, drawn, groups)
    metric = bound.metric
    noise = float(np.nanmean(null)) if metric.calibration_error and null is not None else None
    spread = intervals.bootstrap_spread(value, draws, value, metric.biased_upwards, noise)
    return Spread(spread.stderr, np.nan, np.nan) if metric.no_interval else spread


def weighted_draws(
    bound: BoundMetric, arguments: Columns, weight: Floats, drawn: Array, groups: Groups
) -> Array:
    """(B,) scores of weighted documents in replicates of their groups.

    Args:
        bound: the metric.
        arguments: its arguments of N documents.
        weight: (N,) of the documents.
        drawn: (B, G) how often each group is drawn.
        groups: of the documents.
    """
    blocks = np.array_split(drawn, max(1, len(drawn) // _BLOCK))
    return np.concatenate(
        [
            np.atleast_1d(
                bound.score(
                    *arguments,
                    weight=block.astype(np.float64)[:, groups.of_document] * weight,
                )
            )
            for block in blocks
        ]
    )


def _null(bound: BoundMetric, columns: Columns, weight: Floats, replicates: int) -> Array | None:
    """(B,) scores of a calibrated model with these beliefs and weights; `None` where they cannot be drawn."""
    rng = np.random.default_rng(resampling.SEED)
    if bound.metric.function is proper.mean:
        if len(columns) == 1:
            return None
        has = ~np.isnan(columns[0])
        w, total = weight[has], weight[has].sum()
        scale = float(np.sqrt((w**2 * columns[2][has]).sum()) / total)
        draws: Array = rng.normal((w * columns[1][has]).sum() / total, scale, size=replicates)
        return np.maximum(draws, 0.0)
    if bound.metric.null is not None or np.ndim(columns[0]) != 1:
        return None
    confidence, _, *labels = columns
    return np.array(
        [
            bound.score(confidence, rng.random(len(weight)) < confidence, *labels, weight=weight)
            for _ in range(replicates)
        ]
    )


def _band(draws: Any) -> NullBand | None:
    if draws is None or not np.isfinite(draws).any():
        return None
    _, low, high = intervals.band(draws)
    return NullBand(float(np.nanmean(draws)), low, high)
