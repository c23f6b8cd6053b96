"""Figures of what was read: every metric of a task, or of a group's documents pooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lm_eval_calibration.logs.run import MAPPED, WITHHELD, GroupMean, Scope
from lm_eval_calibration.logs.workers import workers
from lm_eval_calibration.metrics.combine import Arithmetic, Mean, mean_of, weighted_mean
from lm_eval_calibration.metrics.evaluate import Estimate, applicable, evaluate
from lm_eval_calibration.metrics.resampling import REPLICATES
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.normalisation import NORMALISATIONS, PLAIN, SUFFIXES, parted
from lm_eval_calibration.predictions import Predictions

MANY_METRICS = 100
"""Metrics, over all scopes, from which several processes are worth starting."""


class GroupMeans(NamedTuple):
    """A metric's means over a group's tasks.

    Not the metric of the pooled documents, in which one task's over-confidence hides another's
    under-confidence.

    row: what the live run prints for the group: weighted by size, or plain where the group asks for that;
    plain: whether it does; macro: the plain mean, as the row with `_macro`.
    """

    row: Mean
    plain: bool
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
        found = evaluate(
            predictions,
            stems,
            replicates=replicates,
            clusters=scope.clusters,
            progress=progress,
        )
        estimates |= {n + suffix: replace(e, name=n + suffix) for n, e in found.items()}
    return {name: estimates[name] for name in names if name in estimates}


def readable(scope: Scope, names: Sequence[str]) -> Iterator[tuple[str, Predictions, list[str]]]:
    """The metrics that the scope allows, by what they are read from.

    Yields:
        For no suffix and that of each normalisation: it, the predictions, the names without it.
    """
    bound = [bind(name) for name in names]
    for suffix in SUFFIXES:
        stems = [_stem(b.name) for b in bound if b.normalisation == suffix]
        predictions = scope.by(suffix)
        if predictions is not None:
            yield suffix, predictions, applicable(predictions, stems)


def default_metrics(scope: Scope) -> list[str]:
    """Every metric that the scope allows, the `_norm` ones where all its tasks log `acc_norm`..."""
    names = applicable(scope.predictions)
    return [name + suffix for suffix in (PLAIN, *scope.normalised) for name in names]


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
        replace(s, means=_means(s, {m.task: tasks[s.scope.run, m.task] for m in s.scope.samples}))
        if s.scope.pooled
        else s
        for s in scored
    ]


def _means(group: Scored, members: Mapping[str, Scored]) -> dict[str, GroupMeans]:
    """Of each metric, by the mean that the live run printed, or ours where it printed none."""
    names = dict.fromkeys(name for member in members.values() for name in member.estimates)
    rows = group.scope.rows
    everything = GroupMean(Arithmetic.OURS, rows.tasks or tuple(members))
    found = {
        name: _mean(name, members, rows.means.get(name, everything), name in rows.means)
        for name in names
    }
    return {name: means for name, means in found.items() if means is not None}


def _mean(
    name: str, members: Mapping[str, Scored], how: GroupMean | None, printed: bool
) -> GroupMeans | None:
    """The means of a metric; `None` where it is not known how the run's was made, or nothing is defined."""
    if how is None:
        return None
    having = [members[task] for task in how.tasks if name in members[task].estimates]
    if printed and len(having) < len(how.tasks):
        return None  # the run's row has tasks whose figures are withheld
    values = [member.estimates[name].value for member in having]
    stderrs = [member.estimates[name].stderr for member in having]
    row = mean_of(how.arithmetic, values, stderrs, [len(m.scope.predictions) for m in having])
    defined = [i for i, value in enumerate(values) if not math.isnan(value)]
    if row is None or not defined:
        return None
    macro = weighted_mean(
        [values[i] for i in defined], [stderrs[i] for i in defined], [1] * len(defined)
    )
    return GroupMeans(row, how.arithmetic is Arithmetic.PLAIN, macro)


def unavailable(scope: Scope, metrics: Sequence[str]) -> dict[str, str]:
    """Those of `metrics` that the scope does not allow, each with the reason."""
    reasons = {}
    for name in metrics:
        bound = bind(name)
        if scope.by(bound.normalisation) is None:
            reasons[name] = _without(scope, bound.normalisation)
        elif not applicable(scope.predictions, [_stem(name)]):
            reasons[name] = (
                "its scores are no probabilities"
                if scope.predictions.are_scores
                else "only a confidence is known of each document"
            )
    return reasons


def _stem(name: str) -> str:
    return parted(name)[0]


def _without(scope: Scope, suffix: str) -> str:
    """Why a scope has no beliefs normalised by length."""
    lacking = [s for s in scope.samples if suffix not in s.normalised]
    for samples in lacking:
        said = [note for note in samples.notes if WITHHELD in note]
        if said:
            return said[0]
        if any(note.startswith(MAPPED) for note in samples.notes):
            return "a calibrator maps plain beliefs, and none by length"
    where = " in every task of it" if scope.pooled else ""
    return f"the run logs no `{NORMALISATIONS[suffix].verdict}`{where}"
