"""Metrics of many models on the same tasks, on documents that are drawn for all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lm_eval_calibration.analysis.scores import readable
from lm_eval_calibration.logs.run import Scope
from lm_eval_calibration.logs.workers import workers
from lm_eval_calibration.metrics import intervals
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.documents import Documents
from lm_eval_calibration.metrics.families import Family
from lm_eval_calibration.metrics.grouping import Groups, clusters_of, draw_groups, drawn_together
from lm_eval_calibration.metrics.resampling import CELLS, SEED
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.predictions import Predictions

Progress = Callable[[object], None]


@dataclass(frozen=True)
class TaskDraws:
    """A task's values (M, K) of M models and K metrics, and the replicates' errors (M, K, B).

    ends: (M, K, 2) of the 95 % intervals, as they are of a run that is scored alone.
    """

    values: Array
    errors: Array
    ends: Array


def resampled_tasks(
    scopes: Mapping[str, Sequence[Scope]],
    bound: Sequence[BoundMetric],
    replicates: int,
    paired: bool,
    processes: int,
    progress: Progress | None = None,
) -> dict[str, TaskDraws]:
    """Every task's values and replicates.

    Args:
        scopes: of each task, those of the models, with the same documents in the same rows.
        bound: metrics, `_norm` ones included.
        replicates: of the bootstrap.
        paired: whether documents are drawn for all models alike; else for each alone.
        processes: workers to spread the tasks over.
        progress: called when a task is done.
    """
    names = [b.name for b in bound]
    with workers(processes, processes > 1 and len(scopes) > 1) as submit:
        begun = {
            task: submit(_part, each[0], list(each[1:]), names, replicates, paired, number)
            for number, (task, each) in enumerate(scopes.items())
        }
        found = {}
        for task, result in begun.items():
            found[task] = result()
            if progress is not None:
                progress(task)
    return found


def _part(
    first: Scope,
    others: list[Scope],
    names: list[str],
    replicates: int,
    paired: bool,
    number: int,
) -> TaskDraws:
    """One task: every metric of every model, on documents that are drawn for all alike."""
    scopes, count = [first, *others], len(first.predictions)
    rng = np.random.default_rng((SEED, number))
    groups = drawn_together(count, clusters_of(first.clusters, count), rng)
    weight = draw_groups(groups, replicates, rng) if paired else None
    if weight is not None and groups.total <= CELLS:  # (once for all models, as metrics take it)
        weight = weight.astype(np.float64)
    values = np.full((len(scopes), len(names)), np.nan)
    errors = np.full((len(scopes), len(names), replicates), np.nan, np.float32)
    ends = np.full((len(scopes), len(names), 2), np.nan)
    for i, scope in enumerate(scopes):
        if weight is None or len(scope.predictions) != count:
            mine = clusters_of(scope.clusters, len(scope.predictions))
            own = drawn_together(len(scope.predictions), mine, rng)
            drawn = draw_groups(own, replicates, rng)
        else:
            mine, own, drawn = clusters_of(first.clusters, count), groups, weight
        for suffix, predictions, stems in readable(scope, names):
            for stem, value, error, low_high in _of_model(predictions, stems, own, drawn, mine):
                k = names.index(stem + suffix)
                values[i, k], errors[i, k], ends[i, k] = value, error, low_high
    return TaskDraws(values, errors, ends)


def _of_model(
    predictions: Predictions,
    stems: Sequence[str],
    groups: Groups,
    weight: Array,
    clusters: Groups | None,
) -> Iterable[tuple[str, float, Array, tuple[float, float]]]:
    by_family: dict[Family, list[BoundMetric]] = {}
    for metric in (bind(stem) for stem in stems):
        by_family.setdefault(metric.metric.family, []).append(metric)
    for family, members in by_family.items():
        columns = family.read(predictions)
        resampled = family.grouped(columns, groups)(weight)
        documents = Documents(family, columns, len(weight), clusters=clusters)
        for metric in members:
            value = float(metric.value(columns))
            if np.isfinite(value):
                drawn = resampled.draws(metric.score) - resampled.centre(metric.score)
                ends = _ends(metric, documents, value, drawn)
                yield metric.name, value, drawn.astype(np.float32), ends
            else:  # (nor is any replicate that holds such a document)
                missing = np.full(len(weight), np.nan, np.float32)
                yield metric.name, value, missing, (np.nan, np.nan)


def _ends(
    metric: BoundMetric, documents: Documents, value: float, drawn: Array
) -> tuple[float, float]:
    """The interval of a task alone; one document says nothing of others."""
    if len(documents) < 2 or metric.metric.no_interval:
        return np.nan, np.nan
    if metric.metric.smoothed or documents.family.closed_form is not None:
        spread = metric.spread(documents, value)
    else:
        noise = None
        if metric.metric.calibration_error:
            null = metric.draw_null(documents)
            noise = None if null is None else float(np.nanmean(null))
        spread = intervals.bootstrap_spread(value, drawn, 0.0, metric.metric.biased_upwards, noise)
    _, low, high = spread.within(metric.metric.bounds, value)
    return low, high
