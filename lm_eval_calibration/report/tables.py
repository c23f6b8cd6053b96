"""The page's tables: a row per task in the summary, a row per metric in a section."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lm_eval_calibration.analysis.scores import Scored
from lm_eval_calibration.logs.run import Samples, Scope
from lm_eval_calibration.metrics.catalogue import ARROWS
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.normalisation import SUFFIXES, parted
from lm_eval_calibration.report import wording
from lm_eval_calibration.report.wording import Verdict

DASH = "-"


@dataclass(frozen=True)
class SummaryCell:
    """A number in a table; `note` says what is behind an unusual one."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Forest:
    """ECE, its interval and its null band as positions from 0 to 100 on a scale all rows share."""

    label: str
    value: float
    low: float
    high: float
    null_low: float
    null_high: float


@dataclass(frozen=True)
class SummaryRow:
    """One scope in the summary.

    Attributes:
        name: shown; a group's tasks go without what all their names begin with.
        full_name, anchor: in full, and the section it leads to.
        pooled: a group; `indented`: a task of the group above it.
        before: accuracy and mean confidence.
        ece, interval, band: of the ECE; `verdict` where it lies.
        forest: the same drawn; `None` where there is no ECE.
        after: `nll`, `brier`, a second calibration error, `auroc`, `aurc`.
    """

    name: str
    full_name: str
    anchor: str
    pooled: bool
    indented: bool
    documents: str
    before: tuple[SummaryCell, ...]
    ece: SummaryCell
    interval: str
    band: str
    verdict: Verdict
    forest: Forest | None
    after: tuple[SummaryCell, ...]


@dataclass(frozen=True)
class MetricRow:
    """One metric of one scope; `means` over a group's tasks, where it is one."""

    name: str
    meaning: str
    arrow: str
    value: SummaryCell
    interval: str
    band: str
    means: str


def cell(name: str, e: Estimate | None, scope: Scope) -> SummaryCell:
    """A metric's value, or why there is none."""
    if e is None:
        missing = scope.predictions.options is None
        return SummaryCell(DASH, "only confidences are known" if missing else "not asked for")
    if math.isnan(e.value):
        predictions = scope.by(bind(name).normalisation)
        return SummaryCell(wording.UNDEFINED, wording.undefined_reason(name, predictions))
    if math.isinf(e.value):
        return SummaryCell(wording.number(e.value), wording.infinite_reason(name))
    return SummaryCell(wording.number(e.value))


def smooth_or_adaptive(scored: Sequence[Scored]) -> str:
    """The calibration error to show beside ECE: the smooth one if it was asked for."""
    return "smece" if any("smece" in s.estimates for s in scored) else "ace"


def summary(
    scored: Sequence[Scored], anchors: Mapping[tuple[str, str], str]
) -> dict[str, list[SummaryRow]]:
    """Rows by run, in the order of `scored`."""
    second = smooth_or_adaptive(scored)
    scale = forest_scale(scored)
    rows: dict[str, list[SummaryRow]] = {}
    group: tuple[Samples, ...] = ()
    for s in scored:
        scope = s.scope
        if scope.pooled:
            group = scope.samples
        indented = not scope.pooled and set(scope.samples) <= set(group)
        shared = wording.common_start([member.task for member in group], "_") if indented else ""
        row = _row(s, anchors[scope.run, scope.name], indented, second, scale)
        row = replace(row, name=row.full_name.removeprefix(shared))
        rows.setdefault(scope.run, []).append(row)
    return rows


def _row(s: Scored, anchor: str, indented: bool, second: str, scale: float) -> SummaryRow:
    scope, e = s.scope, s.estimates.get("ece")
    acc = s.estimates.get("acc")
    accuracy = wording.number(float(scope.predictions.correct.mean()) if acc is None else acc.value)
    before = [
        SummaryCell(accuracy),
        SummaryCell(wording.number(float(scope.predictions.confidence.mean()))),
    ]
    return SummaryRow(
        name=scope.label(several_runs=False),
        full_name=scope.label(several_runs=False),
        anchor=anchor,
        pooled=scope.pooled,
        indented=indented,
        documents=f"{len(scope.predictions):,}",
        before=tuple(before),
        ece=cell("ece", e, scope),
        interval=wording.interval(e) if e else "",
        band=wording.band(e.null) if e else "",
        verdict=wording.verdict(e),
        forest=_forest(e, scale) if e else None,
        after=tuple(
            cell(n, s.estimates.get(n), scope) for n in ("nll", "brier", second, "auroc", "aurc")
        ),
    )


def forest_scale(scored: Sequence[Scored]) -> float:
    """The right end of the scale: the largest number in any row, rounded up to .05."""
    ends = [0.05]
    for s in scored:
        e = s.estimates.get("ece")
        if e is not None:
            ends += [e.value, e.high, e.null.high if e.null else math.nan]
    return math.ceil(max(end for end in ends if not math.isnan(end)) * 20) / 20


def _forest(e: Estimate, scale: float) -> Forest | None:
    if math.isnan(e.value):
        return None
    low, high = (e.low, e.high) if not math.isnan(e.low) else (e.value, e.value)
    null_low, null_high = (e.null.low, e.null.high) if e.null else (0.0, 0.0)
    positions = [
        round(100 * min(x / scale, 1.0), 2) for x in (e.value, low, high, null_low, null_high)
    ]
    return Forest(wording.valued("ECE", e), *positions)


def metric_tables(s: Scored) -> list[list[MetricRow]]:
    """All metrics of a scope: on the options' probabilities, then on each that is normalised by length."""
    rows = [(_metric_row(name, e, s), parted(name)[1]) for name, e in s.estimates.items()]
    tables = [[row for row, suffix in rows if suffix == wanted] for wanted in SUFFIXES]
    return [table for table in tables if table]


def _metric_row(name: str, e: Estimate, s: Scored) -> MetricRow:
    bound = bind(name)
    means = s.means.get(name)
    return MetricRow(
        name=name,
        meaning=bound.metric.meaning,
        arrow=ARROWS[bound.higher_is_better],
        value=cell(name, e, s.scope),
        interval=wording.interval(e),
        band=wording.band(e.null),
        means=wording.group_mean(means.row.value, means.plain) if means else "",
    )


def definitions(scored: Sequence[Scored]) -> list[tuple[str, str, str]]:
    """Name, direction and meaning of every metric that is shown, without its suffixes."""
    names = dict.fromkeys(parted(name)[0] for s in scored for name in s.estimates)
    return [
        (name, ARROWS[bind(name).higher_is_better], bind(name).metric.meaning) for name in names
    ]
