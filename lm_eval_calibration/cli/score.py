"""`lm-calib score`: every metric of runs that were logged."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from lm_eval_calibration.analysis import Scored
from lm_eval_calibration.analysis.scores import GroupMeans, default_metrics, score_all, unavailable
from lm_eval_calibration.cli import overview, score_overview
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    interval,
    markdown,
    markdown_table,
    number,
    terminal_table,
)
from lm_eval_calibration.cli.progress import working
from lm_eval_calibration.cli.score_overview import is_outside
from lm_eval_calibration.logs import Run, Scope, scopes
from lm_eval_calibration.logs.packed import as_given
from lm_eval_calibration.logs.workers import processes
from lm_eval_calibration.metrics.catalogue import ARROWS, SUMMARY_METRICS
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.normalisation import SUFFIXES
from lm_eval_calibration.redact import redact

OUTSIDE = (
    "outside what 95 of 100 perfectly calibrated models with the same confidences would score."
)
MEANS = "mean of tasks: weighted by size, with its standard error, as a live run prints the group."
PLAIN_MEAN = "= the plain mean: that is what this group's own row is (`weight_by_size: false`)."
NO_RANKS = "there is nothing to rank"
READ = SUMMARY_METRICS
"""Of each task, unless others are asked for."""
SLOW_DOCUMENTS, SLOW_METRICS = 100_000, 100
"""Scoring so many takes more than a few seconds."""

HEADER = ("metric", "", "value", "95 % interval", "if calibrated")


def score_runs(runs: Sequence[Run], metrics: Sequence[str] | None, replicates: int) -> list[Scored]:
    """Score every group and task of the runs, with a progress bar if there are many documents."""
    wanted = [scope for run in runs for scope in scopes(run)]
    documents = sum(len(s) for scope in wanted for s in scope.samples)
    steps = sum(len(metrics or default_metrics(scope)) for scope in wanted)
    slow = documents > SLOW_DOCUMENTS or steps > SLOW_METRICS
    with working("scoring", steps, slow) as progress:
        return score_all(
            wanted, metrics, replicates=replicates, processes=processes(), progress=progress
        )


def usual(how: OutputFormat, everything: bool) -> list[str] | None:
    """The metrics that are shown to a person who names none; `None` for all of them."""
    if everything or how in (OutputFormat.JSON, OutputFormat.CSV):
        return None
    return [f"{name}{suffix}" for suffix in SUFFIXES for name in READ]


def cannot_be_had(runs: Sequence[Run], metrics: Sequence[str] | None) -> list[str]:
    """Why some of the metrics that were asked for will be missing, task by task."""
    several = len(runs) > 1
    lacking: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for scope in scopes(run):
            for name, reason in unavailable(scope, metrics or ()).items():
                lacking.setdefault((name, reason), []).append(scope.label(several))
    return [
        f"{name} of {whose}: {reason}"
        for (name, reason), names in lacking.items()
        for whose in (
            names if len(names) <= overview.MANY else [f"{names[0]} and {len(names) - 1} more"]
        )
    ]


def title(scope: Scope, several_runs: bool) -> str:
    """A scope for readers: run, name and how many documents."""
    pooled = f" ({len(scope.samples)} tasks pooled)" if scope.pooled else ""
    return f"{scope.label(several_runs)}{pooled}, {len(scope.predictions):,} documents"


def render(
    scored: Sequence[Scored], how: OutputFormat, columns: Sequence[str] | None = None
) -> str | None:
    """The figures in `how`, as text; `None` for the terminal, where they are printed at once.

    With `columns` a task is a row of these metrics, in a terminal and in Markdown.
    """
    if columns is not None:
        return score_overview.render(scored, columns, OUTSIDE, how)
    return in_format(
        how,
        told=lambda: {"scores": [_as_json(s) for s in scored]},
        rows=lambda: [row for s in scored for row in _flat(s)],
        markdown=lambda: _markdown(scored),
        items=lambda: _items(scored),
    )


def _items(scored: Sequence[Scored]) -> list[Table | str]:
    several = len({s.scope.run for s in scored}) > 1
    items: list[Table | str] = []
    for s in scored:
        items += [title(s.scope, several), _table(s), ""]
    if any(is_outside(e) for s in scored for e in s.estimates.values()):
        items.append("* " + OUTSIDE)
    items += [*undefined(scored), *unanswered(scored), *without_intervals(scored)]
    if any(s.means for s in scored):
        items.append(MEANS)
    if any(means.plain for s in scored for means in s.means.values()):
        items.append(PLAIN_MEAN)
    return items


def undefined(scored: Sequence[Scored]) -> list[str]:
    """Why metrics of these have no value."""
    lost = [e.name for s in scored for e in s.estimates.values() if math.isnan(e.value)]
    ranking = [name for name in dict.fromkeys(lost) if bind(name).metric.ranks]
    others = [name for name in dict.fromkeys(lost) if name not in ranking]
    said = []
    if ranking:
        said.append(
            f"-: {', '.join(ranking)}, where all answers are right, or all wrong: {NO_RANKS}."
        )
    if others:
        said.append(f"-: {', '.join(others)}, where no document has a right option.")
    return said


def unanswered(scored: Sequence[Scored]) -> list[str]:
    """Of tasks in which nothing was answered that the figures mean nothing."""
    empty = [
        s.scope.name or "all documents"
        for s in scored
        if s.scope.predictions.options is None
        and not s.scope.predictions.are_scores
        and not s.scope.predictions.confidence.any()
        and not s.scope.predictions.correct.any()
    ]
    if not empty:
        return []
    return [
        f"{', '.join(empty)}: every answer is wrong, at confidence 0: nothing was answered, or the filter found no answer "
        "(--filter names another), so the figures mean nothing."
    ]


def without_intervals(scored: Sequence[Scored]) -> list[str]:
    """Why metrics of these have no interval."""
    names = dict.fromkeys(name for s in scored for name in s.estimates)
    reasons = {name: bind(name).metric.no_interval for name in names}
    return [f"{name} has no interval: {why}." for name, why in reasons.items() if why]


def _table(s: Scored) -> Table:
    header = [*HEADER, "mean of tasks"] if s.means else HEADER
    return terminal_table(header, _rows(s), texts=(0, 1))


def _rows(s: Scored) -> list[list[str]]:
    return [[*_cells(e), *([_mean(s, e.name)] if s.means else [])] for e in s.estimates.values()]


def _cells(e: Estimate) -> tuple[str, ...]:
    band = "-" if e.null is None else interval(e.null.low, e.null.high)
    mark = " *" if is_outside(e) else ""
    return (
        e.name,
        ARROWS[bind(e.name).higher_is_better],
        number(e.value),
        interval(e.low, e.high),
        band + (mark or "  "),
    )


def _mean(s: Scored, name: str) -> str:
    means = s.means.get(name)
    if means is None:
        return "-"
    mark = "= " if means.plain else ""
    return f"{mark}{number(means.row.value)} ± {number(means.row.stderr)}"


def _flat(s: Scored) -> Iterator[dict[str, Any]]:
    """One row for each metric: what CSV holds."""
    nothing = float("nan")
    for e in s.estimates.values():
        null, means = e.null, s.means.get(e.name)
        yield {
            "run": s.scope.run,
            "name": s.scope.name,
            "pooled_tasks": len(s.scope.samples) if s.scope.pooled else "",
            "documents": len(s.scope.predictions),
            "metric": e.name,
            "value": e.value,
            "stderr": e.stderr,
            "low": e.low,
            "high": e.high,
            "null_mean": null.mean if null else nothing,
            "null_low": null.low if null else nothing,
            "null_high": null.high if null else nothing,
            "mean_of_tasks": means.row.value if means else nothing,
            "mean_of_tasks_stderr": means.row.stderr if means else nothing,
            "weighted_by_size": not means.plain if means else "",
            "macro": means.macro.value if means else nothing,
            "macro_stderr": means.macro.stderr if means else nothing,
        }


def _as_json(s: Scored) -> dict[str, Any]:
    head = {
        "run": s.scope.run,
        "name": s.scope.name,
        "documents": len(s.scope.predictions),
        "files": [redact(as_given(str(one.path)), one.secrets) for one in s.scope.samples],
        "notes": [note for samples in s.scope.samples for note in samples.notes],
    }
    if s.scope.pooled:
        head["pooled"] = [samples.task for samples in s.scope.samples]
    metrics = {name: _figures(e, s.means.get(name)) for name, e in s.estimates.items()}
    return {**head, "metrics": metrics}


def _figures(e: Estimate, means: GroupMeans | None) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "value": e.value,
        "stderr": e.stderr,
        "interval": [e.low, e.high],
        "higher_is_better": bind(e.name).higher_is_better,
    }
    if e.null is not None:
        figures["null"] = {"mean": e.null.mean, "interval": [e.null.low, e.null.high]}
    if means is not None:
        figures["mean_of_tasks"] = means.row._asdict() | {"weighted_by_size": not means.plain}
        figures["macro"] = means.macro._asdict()
    return figures


def _markdown(scored: Sequence[Scored]) -> str:
    several = len({s.scope.run for s in scored}) > 1
    parts = [
        f"**{markdown(title(s.scope, several))}**\n\n"
        + markdown_table(
            [*HEADER, "mean of tasks"] if s.means else HEADER,
            _rows(s),
            texts=2,
        )
        for s in scored
    ]
    plain = any(means.plain for s in scored for means in s.means.values())
    said = [*undefined(scored), *unanswered(scored), *without_intervals(scored)]
    said = [markdown(text) for text in said]
    return "\n\n".join([*parts, f"\\* {OUTSIDE}", *said, *([PLAIN_MEAN] if plain else [])])
