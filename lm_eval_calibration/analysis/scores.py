"""Figures of what was read: every metric of a task, or of a group's documents pooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lm_eval_calibration.logs.run import Scope
from lm_eval_calibration.logs.workers import workers
from lm_eval_calibration.metrics.combine import Mean, weighted_mean
from lm_eval_calibration.metrics.evaluate import Estimate, applicable, evaluate
from lm_eval_calibration.metrics.resampling import REPLICATES
from lm_eval_calibration.metrics.table import ALL_METRICS, bind
from lm_eval_calibration.predictions import Predictions

NORM = "_norm"
MANY_METRICS = 100
"""Metrics, over all scopes, from which several processes are worth starting."""


class GroupMeans(NamedTuple):
    """A metric's mean over a group's tasks: weighted by size (the harness's row), and plain.

    Not the metric of the pooled documents, in which one task's over-confidence hides another's
    under-confidence.
    """

    by_size: Mean
    macro: Mean


@dataclass(frozen=True, eq=False)
class Scored:
    """The figures of one scope.

    Attributes:
        scope: a task, or a group's documents pooled.
        estimates: by metric name, in the order asked for.
        means: of a group, the means over its tasks as a live run prints them; see `GroupMeans`.
    """

    scope: Scope
    estimates: dict[str, Estimate]
    means: dict[str, GroupMeans] = field(default_factory=dict)


def score(
    scope: Scope,
    metrics: Sequence[str] | None = None,
    *,
    replicates: int = REPLICATES,
    progress: Callable[[str], None] | None = None,
) -> Scored:
    """Score a scope on `metrics`, each with its 95 % interval and null band.

    Args:
        scope: a task, or a group's documents pooled.
        metrics: names as in a task's `metric_list`, `acc` and `acc_norm` included; by default
            `default_metrics`. Those that the scope does not allow are left out; `unavailable`
            says why.
        replicates: bootstrap replicates and null draws.
        progress: called with each metric's name when it is done.

    Raises:
        UnknownNameError: an unknown metric.
    """
    names = list(metrics or default_metrics(scope))
    return Scored(scope, _estimates(scope, names, replicates, progress))


def _estimates(
    scope: Scope,
    names: Sequence[str],
    replicates: int,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Estimate]:
    estimates: dict[str, Estimate] = {}
    for suffix, predictions, stems in readable(scope, names):
        found = evaluate(predictions, stems, replicates=replicates, progress=progress)
        estimates |= {n + suffix: replace(e, name=n + suffix) for n, e in found.items()}
    return {name: estimates[name] for name in names if name in estimates}


def readable(scope: Scope, names: Sequence[str]) -> Iterator[tuple[str, Predictions, list[str]]]:
    """The metrics that the scope allows, by what they are read from.

    Yields:
        Twice: a suffix (none, then `_norm`), the predictions, the names without the suffix.
    """
    bound = [bind(name) for name in names]
    for suffix, predictions in (("", scope.predictions), (NORM, scope.normalised)):
        stems = [_stem(b.name) for b in bound if b.normalised is bool(suffix)]
        if predictions is not None:
            yield suffix, predictions, applicable(predictions, stems)


def default_metrics(scope: Scope) -> list[str]:
    """Every metric that the scope allows, the `_norm` ones where all its tasks log `acc_norm`."""
    names = applicable(scope.predictions, ALL_METRICS)
    return names if scope.normalised is None else [*names, *(name + NORM for name in names)]


def score_all(
    wanted: Sequence[Scope],
    metrics: Sequence[str] | None = None,
    *,
    replicates: int = REPLICATES,
    processes: int = 1,
    progress: Callable[[str], None] | None = None,
) -> list[Scored]:
    """Score several scopes; groups also get the means over their tasks, where those are there.

    Args and errors as `score`, and `processes`: how many to spread the scopes over. With several
    of them `progress` is called when a scope is done, once for each of its metrics.
    """
    names = [list(metrics or default_metrics(scope)) for scope in wanted]
    work = list(zip(wanted, names, strict=True))
    if processes > 1 and len(wanted) > 1 and sum(map(len, names)) > MANY_METRICS:
        with workers(processes) as submit:
            results = [submit(_estimates, scope, n, replicates) for scope, n in work]
            scored = [
                Scored(scope, _told(result(), progress))
                for scope, result in zip(wanted, results, strict=True)
            ]
    else:
        scored = [Scored(s, _estimates(s, n, replicates, progress)) for s, n in work]
    return _with_means(scored)


def _told(
    estimates: dict[str, Estimate], progress: Callable[[str], None] | None
) -> dict[str, Estimate]:
    if progress is not None:
        for name in estimates:
            progress(name)
    return estimates


def _with_means(scored: Sequence[Scored]) -> list[Scored]:
    tasks = {(s.scope.run, s.scope.name): s for s in scored if not s.scope.pooled}
    return [
        replace(s, means=_means([tasks[s.scope.run, m.task] for m in s.scope.samples]))
        if s.scope.pooled
        else s
        for s in scored
    ]


def _means(members: Sequence[Scored]) -> dict[str, GroupMeans]:
    """Means over tasks; a task in which a metric is undefined is left out of it, as in a live run."""
    names = dict.fromkeys(name for member in members for name in member.estimates)
    return {name: means for name in names if (means := _mean(name, members))}


def _mean(name: str, members: Sequence[Scored]) -> GroupMeans | None:
    having = [
        (member.estimates[name], len(member.scope.predictions))
        for member in members
        if name in member.estimates and not math.isnan(member.estimates[name].value)
    ]
    if not having:
        return None
    values, stderrs = [e.value for e, _ in having], [e.stderr for e, _ in having]
    by_size = weighted_mean(values, stderrs, [n for _, n in having])
    return GroupMeans(by_size, weighted_mean(values, stderrs, [1] * len(having)))


def unavailable(scope: Scope, metrics: Sequence[str]) -> dict[str, str]:
    """Those of `metrics` that the scope does not allow, each with the reason."""
    reasons = {}
    for name in metrics:
        bound = bind(name)
        if bound.normalised and scope.normalised is None:
            reasons[name] = "the run logs no `acc_norm` in every task of it"
        elif not applicable(scope.predictions, [_stem(name)]):
            reasons[name] = "only a confidence is known of each document"
    return reasons


def _stem(name: str) -> str:
    return name.removesuffix(NORM)
