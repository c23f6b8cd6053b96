"""Many models on the same tasks: means over tasks, ranks, and which models cannot be told apart."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from lm_eval_calibration.analysis.document_pairing import match
from lm_eval_calibration.analysis.resampled_tasks import Progress, TaskDraws, resampled_tasks
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs.run import Run, Samples, Scope
from lm_eval_calibration.metrics import intervals
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.catalogue import SUMMARY_METRICS
from lm_eval_calibration.metrics.paired import ALPHA, holm
from lm_eval_calibration.metrics.resampling import REPLICATES
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.names import upstream_name

_TAILS = (0.025, 0.975)


ALLOWED = "Without --require-all (in Python `require_all=True`) models are ranked on what all have."
"""What is advised where runs differ in tasks or documents."""


@dataclass(frozen=True)
class Figure:
    """A metric on a task, or its mean over tasks, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rank:
    """A model's rank, from 1, with the interval that 95 % of the resampled document sets give."""

    value: int
    low: int
    high: int


@dataclass(frozen=True)
class Standing:
    """One model of a leaderboard.

    Attributes:
        model: the run's label.
        figures: means over tasks, or of all documents, by metric.
        rank: by the metric that the leaderboard is sorted by.
        place: the same for neighbours that cannot be told apart.
        tasks: each metric by task.
        samples: the documents that were ranked, by task.
    """

    model: str
    figures: Mapping[str, Figure]
    rank: Rank
    place: int
    tasks: Mapping[str, Mapping[str, Figure]]
    samples: Mapping[str, Samples] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Leaderboard:
    """Models on the tasks and documents that all of them have, the best first.

    Attributes:
        metrics: in the order asked for; `by`: the one that ranks.
        tasks: how many documents of each; `counted`: of each metric, the tasks that its mean is over.
        standings: of the models.
        pooled: whether figures are those of all documents together, and no means over tasks.
        paired: whether documents were drawn for all models alike.
        notes: what was left out, and what could not be done as usual.
    """

    metrics: tuple[str, ...]
    by: str
    tasks: Mapping[str, int]
    counted: Mapping[str, tuple[str, ...]]
    standings: tuple[Standing, ...]
    pooled: bool
    paired: bool
    notes: tuple[str, ...]


def leaderboard(
    runs: Sequence[Run],
    metrics: Sequence[str] = SUMMARY_METRICS,
    *,
    by: str | None = None,
    tasks: Sequence[str] | None = None,
    pooled: bool = False,
    require_all: bool = False,
    replicates: int = REPLICATES,
    processes: int = 1,
    progress: Progress | None = None,
) -> Leaderboard:
    """Rank models by their means over tasks.

    A replicate draws the documents of each task with replacement, the same for all models, so that
    what documents have in common cancels where models are compared.

    Args:
        runs: two or more.
        metrics: names as for `evaluate`, `_norm` ones included.
        by: the metric that ranks, one of them; the first by default.
        tasks: those that count; by default all that every run has.
        pooled: figures of all documents together; else each task has the same weight.
        require_all: refuse runs that lack a task or a document, where else all are ranked on what
            all have.
        replicates: of the bootstrap, at least 2.
        processes: workers to spread the tasks over.
        progress: called when a task is done.

    Raises:
        InvalidInputError: fewer than two runs, nothing in common, a metric or task that there is
            not, a metric to rank by that no task defines for all models, or with `require_all` something
            that is missing.
    """
    bound = [bind(name) for name in dict.fromkeys(metrics)]
    by = by or bound[0].name
    if by not in [b.name for b in bound]:
        raise invalid("by", f"one of the metrics {', '.join(b.name for b in bound)}", f"`{by}`")
    if bind(by).higher_is_better is None:
        raise invalid("by", "a metric of which more or less is better", f"`{by}`")
    if replicates < 2:
        raise invalid("replicates", "at least 2", replicates)
    matched, notes = _matched(_chosen(runs, tasks), require_all)
    samples = {task: [run.samples[task] for run in matched] for task in matched[0].samples}
    scopes = {task: [Scope(s.run, task, (s,)) for s in each] for task, each in samples.items()}
    if pooled:
        together = [Scope(run.label, "", tuple(run.samples.values()), True) for run in matched]
        scopes = {"": together}
    parts = resampled_tasks(scopes, bound, replicates, not notes.unpaired, processes, progress)
    table = _Table([run.label for run in matched], parts, bound)
    standings = table.standings(matched, by)
    sizes = {task: len(each[0]) for task, each in samples.items()}
    return Leaderboard(
        metrics=tuple(b.name for b in bound),
        by=by,
        tasks=sizes,
        counted=table.counted,
        standings=tuple(standings),
        pooled=pooled,
        paired=not notes.unpaired,
        notes=(*notes.texts, *table.notes),
    )


@dataclass(frozen=True)
class _Notes:
    texts: tuple[str, ...]
    unpaired: bool = False


def _chosen(runs: Sequence[Run], tasks: Sequence[str] | None) -> list[Run]:
    """The runs with the tasks that count, under the harness's names."""
    if len(runs) < 2:
        raise InvalidInputError(f"A leaderboard needs at least two runs, got {len(runs)}.")
    named = [
        replace(run, samples={upstream_name(t): s for t, s in run.samples.items()}, groups={})
        for run in runs
    ]
    if tasks is None:
        return named
    wanted = [upstream_name(task) for task in tasks]
    known = {task for run in named for task in run.samples}
    for task in wanted:
        if task not in known:
            raise invalid("tasks", f"of {', '.join(sorted(known))}", f"`{task}`")
    return [replace(r, samples={t: s for t, s in r.samples.items() if t in wanted}) for r in named]


def _matched(runs: list[Run], require_all: bool) -> tuple[list[Run], _Notes]:
    """The runs on common tasks and documents; where documents are unknown, on common tasks."""
    hashed = all(len(s.doc_hash) == len(s) for run in runs for s in run.samples.values())
    if hashed:
        found = match(runs, allow_partial=not require_all, advice=ALLOWED)
        return found.runs, _Notes((*_shortened(found.left_out), *found.renamed))
    common = [t for t in runs[0].samples if all(t in run.samples for run in runs)]
    missing = [
        f"{run.label}: task {task} is not in all runs"
        for run in runs
        for task in run.samples
        if task not in common
    ]
    if not common:
        raise InvalidInputError(f"No task is in all runs: {'; '.join(missing)}.")
    if missing and require_all:
        raise InvalidInputError(
            f"Not all runs have the same tasks: {'; '.join(missing)}. {ALLOWED}"
        )
    kept = [replace(run, samples={t: run.samples[t] for t in common}) for run in runs]
    unpaired = (
        "which documents are the same is not known: models are compared as if each had documents of "
        "its own, so that fewer can be told apart"
    )
    return kept, _Notes((*_shortened(missing), unpaired), unpaired=True)


def _shortened(texts: Sequence[str], few: int = 8) -> list[str]:
    more = [f"and {len(texts) - few} more of this kind"] if len(texts) > few + 1 else []
    return [*(texts[:few] if more else texts), *more]


class _Table:
    """Means over tasks of every model, and their errors.

    A task counts for a metric where it is defined for all models. An infinite value (of `nll`, where a right
    option was given a probability of 0) is one: so is its model's mean then, and no other is as bad.
    """

    def __init__(
        self, models: Sequence[str], parts: Mapping[str, TaskDraws], bound: Sequence[BoundMetric]
    ) -> None:
        self._bound, self._parts = bound, parts
        self._values = np.stack([part.values for part in parts.values()])  # (T, M, K)
        self._known = ~np.isnan(self._values).any(axis=1)  # (T, K): of all models
        self._share = self._known / np.maximum(self._known.sum(axis=0), 1)
        counts = self._known[:, None] & np.ones_like(self._values, bool)
        weighted = np.multiply(
            self._values, self._share[:, None], where=counts, out=np.zeros_like(self._values)
        )
        self.means = weighted.sum(axis=0)
        self.means[:, ~self._known.any(axis=0)] = np.nan
        self.errors = np.zeros(next(iter(parts.values())).errors.shape)
        for part, weight in zip(parts.values(), self._share, strict=True):
            self.errors += np.nan_to_num(part.errors, nan=0.0) * weight[None, :, None]
        names = list(parts)
        self.counted = {
            b.name: tuple(names[t] for t in np.flatnonzero(self._known[:, k]))
            for k, b in enumerate(bound)
        }
        self.notes = [note for k in range(len(bound)) for note in self._said(models, k)]

    def _said(self, models: Sequence[str], k: int) -> list[str]:
        """What a reader must know of a metric's tasks."""
        name, tasks = self._bound[k].name, list(self._parts)
        notes = []
        if not self._known[:, k].all():
            out = [f"`{tasks[t]}`" for t in np.flatnonzero(~self._known[:, k]).tolist()]
            undefined = np.isnan(self._values[:, :, k]).any(axis=0)
            whose = [models[m] for m in np.flatnonzero(undefined).tolist()]
            whose = ["all models"] if len(whose) == len(models) else whose
            notes.append(
                f"{name} is over {len(self.counted[name])} of {len(tasks)} task(s), without "
                f"{', '.join(_shortened(out, 4))}, where it is undefined for {', '.join(_shortened(whose, 4))}"
            )
        for m in np.flatnonzero(np.isinf(self.means[:, k])).tolist():
            at = [f"`{tasks[t]}`" for t in np.flatnonzero(np.isinf(self._values[:, m, k])).tolist()]
            where = f" on {', '.join(_shortened(at, 4))}" if at != ["``"] else ""
            notes.append(f"{name} of {models[m]} is infinite{where}")
        return notes

    def standings(self, runs: Sequence[Run], by: str) -> list[Standing]:
        """The models, the best first."""
        k = [b.name for b in self._bound].index(by)
        if np.isnan(self.means[:, k]).all():
            raise InvalidInputError(
                f"Models cannot be ranked by `{by}`: in no task is it defined for all of them. Rank by another "
                "metric, or see what `lm-calib score` says of each."
            )
        sign = -1.0 if bind(by).higher_is_better else 1.0
        order = np.argsort(sign * self.means[:, k], kind="stable")
        ranks = _ranks(sign * self.means[:, k])
        replicates = sign * (self.means[:, k, None] + self.errors[:, k])
        drawn = np.stack([_ranks(column) for column in replicates.T], axis=1)
        low, high = np.quantile(drawn, _TAILS, axis=1, method="nearest").astype(int)
        places = self._places(order, k)
        return [
            Standing(
                runs[i].label,
                {b.name: self._figure(i, j, b) for j, b in enumerate(self._bound)},
                Rank(
                    int(ranks[i]), min(int(low[i]), int(ranks[i])), max(int(high[i]), int(ranks[i]))
                ),
                place,
                self._by_task(i),
                runs[i].samples,
            )
            for i, place in zip(order.tolist(), places, strict=True)
        ]

    def _places(self, order: Array, k: int) -> list[int]:
        """From 1; a model shares its neighbour's unless the two differ (Holm over neighbours)."""
        pairs = list(itertools.pairwise(order.tolist()))
        p = [self._p_value(a, b, k) for a, b in pairs]
        places = [1]
        for number, adjusted in enumerate(holm(p), start=2):
            places.append(number if adjusted < ALPHA else places[-1])
        return places

    def _p_value(self, a: int, b: int, k: int) -> float:
        one, other = self.means[a, k], self.means[b, k]
        if np.isinf(one) or np.isinf(other):  # (no replicate says anything of such a model)
            return float(one == other)
        return intervals.p_value(float(one - other), self.errors[a, k] - self.errors[b, k])

    def _figure(self, i: int, k: int, bound: BoundMetric) -> Figure:
        """A mean's interval; where no replicate differs (all answers right), that of the tasks' own."""
        value, errors = float(self.means[i, k]), self.errors[i, k]
        tasks = list(self._parts.values())
        counting = np.flatnonzero(self._share[:, k]).tolist()
        own = np.array([tasks[t].ends[i, k] for t in counting]).reshape(-1, 2)
        if not math.isfinite(value) or np.isnan(own).any():
            return Figure(value, math.nan, math.nan)
        if len(counting) == 1:
            return Figure(value, *own[0].tolist())
        if errors.any():
            spread = intervals.bootstrap_spread(
                value, errors.astype(np.float64), 0.0, bound.metric.biased_upwards
            )
            _, low, high = spread.within(bound.metric.bounds, value)
            return Figure(value, low, high)
        weights = self._share[counting, k, None]
        away = own - np.array([[tasks[t].values[i, k]] for t in counting])
        down, up = np.sqrt(((weights * away) ** 2).sum(axis=0)).tolist()
        return Figure(value, value - down, value + up)

    def _by_task(self, i: int) -> dict[str, dict[str, Figure]]:
        return {
            b.name: {
                task: Figure(float(part.values[i, k]), *part.ends[i, k].tolist())
                for task, part in self._parts.items()
            }
            for k, b in enumerate(self._bound)
        }


def _ranks(values: Array) -> Array:
    """(M,) ranks from 1, the smallest first; equal values share the lowest of theirs, NaN the last."""
    return np.searchsorted(np.sort(values), values) + 1
