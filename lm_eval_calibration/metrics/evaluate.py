"""All metrics of a set of predictions at once, with error bars and null bands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.given import Beliefs, as_predictions
from lm_eval_calibration.metrics import intervals
from lm_eval_calibration.metrics.catalogue import all_names
from lm_eval_calibration.metrics.documents import Documents
from lm_eval_calibration.metrics.estimates import Estimate as Estimate
from lm_eval_calibration.metrics.estimates import Estimates as Estimates
from lm_eval_calibration.metrics.estimates import NullBand as NullBand
from lm_eval_calibration.metrics.families import Family
from lm_eval_calibration.metrics.grouping import clusters_of
from lm_eval_calibration.metrics.resampling import REPLICATES
from lm_eval_calibration.metrics.table import DEFAULT_METRICS, BoundMetric, bind
from lm_eval_calibration.metrics.weighted import weighted_estimate, weights_of
from lm_eval_calibration.predictions import Predictions


def evaluate(
    predictions: Beliefs,
    metrics: str | Sequence[str] | None = None,
    *,
    truth: ArrayLike | None = None,
    scale: str | None = None,
    replicates: int = REPLICATES,
    clusters: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    progress: Callable[[str], None] | None = None,
) -> Estimates:
    """Score `predictions` on `metrics`, each with a standard error and a null band.

    Args:
        predictions: N documents; or their beliefs, as `given.as_predictions` takes them: (N,) confidences,
            (N, K) numbers of options, or N rows of different lengths; arrays, lists, tensors or columns.
        truth: what was true, where `predictions` are no `Predictions`: of options the right one of each
            document, of confidences whether each answer is right.
        scale: of options' numbers, `probs`, `log_probs` or `logits`; told from them where that can be told.
        metrics: names as in a task's `metric_list`; by default `nll`, `brier`, `ece`, `ace`,
            `mce`, `auroc`, `aurc`, and of confidences alone those of them that need no options.
        replicates: bootstrap replicates and null draws, at least 2; 0 for values alone.
        clusters: (N,) a label of each document; those of one label (questions about one passage) are
            not independent, and are drawn together. The null bands of calibration errors grow by
            how much a cluster's residuals go together; others know nothing of it.
        sample_weight: (N,) how much each document counts (survey weights, inverse propensities, copies):
            values are those of documents that stand as often; replicates draw documents with their weights.
        progress: called with the name of every metric when it is done.

    Returns:
        Estimates by name; a notebook shows them as a table, beside a reliability diagram.

    Raises:
        UnknownNameError: an unknown metric name.
        InvalidInputError: beliefs without `truth`; one replicate or fewer than none; a `_norm` or `_bytes` name (build
            the predictions from length-normalised logits instead).
        InvalidInputError: a metric that was named needs all options, and the predictions hold
            confidences only.

    >>> evaluate([[0.2, 0.8], [0.9, 0.1]], ["acc", "brier"], truth=[1, 1], replicates=0)
    acc    0.5000
    brier  0.8500
    """
    if metrics is not None:
        metrics = listed(metrics)
    predictions = as_predictions(predictions, truth, scale=scale)
    if replicates < 0 or replicates == 1:
        raise invalid("replicates", "0, or at least 2", replicates)
    if metrics is None:
        plain = [name for name in DEFAULT_METRICS if not name.endswith("_null")]
        metrics = applicable(predictions, plain)
    together = clusters_of(clusters, len(predictions))
    weight = None if sample_weight is None else weights_of(sample_weight, len(predictions))
    read: dict[Family, Documents] = {}
    found: dict[str, Estimate] = {}
    for bound in [bind_plain(name) for name in listed(metrics)]:
        family = bound.metric.family
        if family not in read:
            columns, drawn = family.read(predictions), not predictions.are_scores
            read[family] = Documents(family, columns, replicates, drawn, together)
        if weight is None:
            found[bound.name] = _estimate(bound, read[family])
        else:
            columns, drawn = read[family].columns, not predictions.are_scores
            found[bound.name] = weighted_estimate(
                bound, columns, weight, replicates, together, drawn
            )
        if progress is not None:
            progress(bound.name)
    return Estimates(found, predictions)


def listed(metrics: str | Sequence[str]) -> Sequence[str]:
    """Names, of which several may stand in one text.

    Raises:
        InvalidInputError: something else than names.
    """
    if isinstance(metrics, str):
        return [n.strip() for n in metrics.split(",")]
    if not isinstance(metrics, Sequence) or not all(isinstance(name, str) for name in metrics):
        hint = "What was true is `truth=`, by its name."
        raise invalid("metrics", "names of metrics", type(metrics).__name__, hint)
    return metrics


def applicable(predictions: Predictions, names: Sequence[str] | None = None) -> list[str]:
    """Those of `names` that `predictions` allow: without options no `nll`, `brier`, `tl_ece`...

    Of scores that are no probabilities those that rank them.

    >>> applicable(Predictions.from_confidences([0.9], [1]), ["acc", "nll", "ece"])
    ['acc', 'ece']
    """
    has_options = predictions.options is not None
    bound = [(name, bind(name)) for name in (all_names() if names is None else names)]
    if predictions.are_scores:
        return [name for name, b in bound if b.metric.ranks and not b.null]
    return [name for name, b in bound if has_options or not b.metric.family.needs_options]


def bind_plain(name: str) -> BoundMetric:
    """`bind` without a normalisation, which is a matter of the predictions and not of the metric."""
    bound = bind(name)
    if bound.normalisation:
        raise invalid(
            "metrics",
            f"without `{bound.normalisation}`",
            f"`{name}`",
            "Divide the logits by the options' lengths.",
        )
    return bound


def estimate(
    bound: BoundMetric, predictions: Predictions, replicates: int = REPLICATES
) -> Estimate:
    """Score `predictions` on one metric with its options bound; see `evaluate`."""
    family = bound.metric.family
    return _estimate(bound, Documents(family, family.read(predictions), replicates))


def _estimate(bound: BoundMetric, documents: Documents) -> Estimate:
    value = bound.value(documents.columns)
    if not documents.replicates:
        return Estimate(bound.name, value, *intervals.NONE, None)
    draws = bound.draw_null(documents)
    spread, band = bound.spread(documents, value, draws), _band(draws)
    if len(documents) < 2:  # (which says nothing of others; a live run has "N/A" there)
        return Estimate(bound.name, value, *intervals.NONE, band)
    may_be_0 = bound.metric.calibration_error and band is not None and value <= band.high
    if may_be_0 and not bound.null and not bound.metric.no_interval:
        spread = spread._replace(low=min(spread.low, 0.0))
    return Estimate(bound.name, value, *spread, band)


def _band(draws: Any) -> NullBand | None:
    if draws is None or not np.isfinite(draws).any():
        return None
    _, low, high = intervals.band(draws)
    return NullBand(float(np.nanmean(draws)), low, high)
