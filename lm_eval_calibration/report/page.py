"""The report: one HTML page about runs, without scripts, that needs nothing but itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lm_eval_calibration.analysis.scores import Scored
from lm_eval_calibration.analysis.subgroups import Subgroups
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.files import PAGE, check_file
from lm_eval_calibration.logs.run import Run, Scope
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.report import acting, groups, pages, pools, provenance, tables, wording
from lm_eval_calibration.report.examples import Example, examples, has_texts
from lm_eval_calibration.report.figures import IMAGE_FORMATS, Artist, DrawnFigure
from lm_eval_calibration.report.tables import MetricRow
from lm_eval_calibration.report.wording import Verdict

_OPEN = 3
_FINDINGS = 10


@dataclass(frozen=True)
class ScopeView:
    """What a section says of one scope."""

    title: str
    finding: wording.Finding
    ece: float
    verdict: Verdict
    pooled: bool
    notes: tuple[str, ...]
    tables: list[list[MetricRow]]
    acting: acting.ActingView | None
    pools: pools.PoolView | None
    groups: groups.GroupsView | None
    examples: list[Example]
    no_examples: str


@dataclass(frozen=True)
class ReportSection:
    """One task or group, in all the runs that have it.

    Attributes:
        name, anchor: shown, and where links lead.
        views: one per run.
        figures: grids of figures that stand side by side.
    """

    name: str
    anchor: str
    open: bool
    views: list[ScopeView]
    figures: list[list[DrawnFigure]]


def write_report(
    runs: Sequence[Run],
    scored: Sequence[Scored],
    path: str | Path,
    *,
    figures: Path | None = None,
    formats: Sequence[str] = IMAGE_FORMATS,
    examples: int = 10,
    thresholds_from: Run | None = None,
    subgroups: Sequence[Subgroups] = (),
    progress: Callable[[str], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write one self-contained page about `runs`.

    Args:
        runs: as read.
        scored: the figures of their groups and tasks, each group before its tasks.
        path: of the page; its folder is made.
        figures: a folder for every figure as a file of its own, or `None`.
        formats: of those files, `svg` and `png`.
        examples: over-confident wrong answers to show of each task, where the run logs texts.
        thresholds_from: a run on other documents to choose thresholds on; else half of each task.
        subgroups: of scopes whose documents differ in a field, their groups.
        progress: called with each scope's label when it is drawn.
        overwrite: whether a file that is no report may be replaced.

    Returns:
        The page's path. The same input gives the same bytes.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        InvalidInputError: nothing to report, a format that figures cannot have, or a document
            that is in `thresholds_from` too.
        OutputError: something else stands at `path` or in `figures`, or cannot be written to.
    """
    if not scored:
        raise InvalidInputError("Nothing to report: no task was scored.")
    check_file(path, PAGE, overwrite=overwrite)
    template = pages.template("report.html")
    several = len({s.scope.run for s in scored}) > 1
    artist = Artist(figures, formats, overwrite=overwrite)
    of = {(found.scope.run, found.scope.name): groups.view(found) for found in subgroups}
    sections = _sections(scored, several, artist, examples, thresholds_from, of, progress)
    anchors = {
        (s.scope.run, s.scope.name): section.anchor
        for section, group in zip(sections, _by_task(scored).values(), strict=True)
        for s in group
    }
    views = [view for section in sections for view in section.views]
    fields = {
        "title": _title(runs, scored),
        "read": _read(runs, scored),
        "overview": _overview(scored),
        "findings": _findings(sections),
        "first_findings": _FINDINGS,
        "summary": tables.summary(scored, anchors),
        "second": tables.smooth_or_adaptive(scored),
        "scale": wording.number(tables.forest_scale(scored), 2),
        "heat_maps": _heat_maps(runs, scored, several, artist),
        "sections": sections,
        "accounts": {run.label: provenance.accounts(run) for run in runs},
        "definitions": tables.definitions(scored),
        "several": several,
        "pooled": any(view.pooled for view in views),
    }
    return pages.write(Path(path), template, fields, runs, overwrite=overwrite)


def _title(runs: Sequence[Run], scored: Sequence[Scored]) -> str:
    labels = list(dict.fromkeys(s.scope.run for s in scored if s.scope.run))
    if len(labels) == 1:
        return f"Calibration of {labels[0]}"
    return f"Calibration of {len(runs)} runs" if labels else "Calibration report"


def _read(runs: Sequence[Run], scored: Sequence[Scored]) -> list[tuple[str, str]]:
    """What was read, run by run: its label, and its tasks, documents and date."""
    found = []
    for run in runs:
        tasks, documents = len(run.samples), sum(map(len, run.samples.values()))
        text = f"{tasks} task{'s' if tasks > 1 else ''}, {documents:,} documents"
        date = provenance.date_of(run)
        found.append((run.label or "Table", f"{text}, run on {date}" if date else text))
    return found


def _overview(scored: Sequence[Scored]) -> str:
    """How many of the tasks show miscalibration, and how many would by chance."""
    tasks = [wording.verdict(s.estimates.get("ece")) for s in scored if not s.scope.pooled]
    known = [v for v in tasks if v is not Verdict.UNKNOWN]
    if len(known) < 2:
        return ""
    above = known.count(Verdict.ABOVE)
    text = (
        f"The ECE lies above its calibrated band in {above} of {len(known)} tasks; of tasks on "
        "which a model is perfectly calibrated, about 1 in 40 lies above it by chance."
    )
    return text


def _findings(sections: Sequence[ReportSection]) -> list[tuple[ScopeView, str]]:
    """Every scope with its anchor; if they are many, groups first, then the largest ECE first."""
    found = [(view, section.anchor) for section in sections for view in section.views]
    if len(found) > _FINDINGS:
        found.sort(key=lambda item: (not item[0].pooled, -item[0].ece))
    return found


def _by_task(scored: Sequence[Scored]) -> dict[tuple[str, bool], list[Scored]]:
    """Scopes of the same task, or its twin, side by side; groups first."""
    found: dict[tuple[str, bool], list[Scored]] = {}
    for s in scored:
        key = (upstream_name(s.scope.name), s.scope.pooled)
        found.setdefault(key, []).append(s)
    return dict(sorted(found.items(), key=lambda item: not item[0][1]))


def _sections(
    scored: Sequence[Scored],
    several: bool,
    artist: Artist,
    count: int,
    thresholds_from: Run | None,
    subgroups: Mapping[tuple[str, str], groups.GroupsView],
    progress: Callable[[str], None] | None,
) -> list[ReportSection]:
    sections = []
    for number, ((name, _), group) in enumerate(_by_task(scored).items()):
        drawn, views = [], []
        for s in group:
            title = s.scope.label(several)
            drawn.append(artist.scope(title, s.scope.predictions, s.estimates))
            grouped = subgroups.get((s.scope.run, s.scope.name))
            views.append(_view(s, title, count, thresholds_from, grouped))
            if progress is not None:
                progress(title)
        grids = [list(kind) for kind in zip(*drawn, strict=True)]
        if len(group) == 1:
            grids = drawn
        shown = name if len(group) > 1 else group[0].scope.name
        shown = shown or group[0].scope.label(several)
        sections.append(ReportSection(shown, f"s{number}", number < _OPEN, views, grids))
    return sections


def _view(
    s: Scored,
    title: str,
    count: int,
    thresholds_from: Run | None,
    grouped: groups.GroupsView | None,
) -> ScopeView:
    shown, reason = _examples(s.scope, count)
    ece = s.estimates.get("ece")
    return ScopeView(
        title=title,
        finding=wording.finding(s.scope.predictions, s.estimates),
        ece=ece.value if ece and not math.isnan(ece.value) else -1.0,
        verdict=wording.verdict(ece),
        pooled=s.scope.pooled,
        notes=tuple(note for samples in s.scope.samples for note in samples.notes),
        tables=tables.metric_tables(s),
        acting=acting.view(s.scope, thresholds_from),
        pools=pools.view(s.scope),
        groups=grouped,
        examples=shown,
        no_examples=reason,
    )


def _examples(scope: Scope, count: int) -> tuple[list[Example], str]:
    """The examples of a task, or why there are none to show."""
    if scope.pooled or not count or not has_texts(scope.samples[0]):
        return [], ""
    try:
        found = examples(scope.samples[0], count)
    except InvalidInputError as error:
        return [], str(error)
    return found, "" if found else "Every answer is right."


def _heat_maps(
    runs: Sequence[Run], scored: Sequence[Scored], several: bool, artist: Artist
) -> list[DrawnFigure]:
    """One for each group, and one for the tasks of a run that are in none."""
    maps = []
    for run in runs:
        mine = [s.scope for s in scored if s.scope.run == run.label]
        rows = {s.samples[0]: s for s in mine if not s.pooled}
        alone = dict(rows)
        for group in (s for s in mine if s.pooled):
            members = [rows[m] for m in group.samples if m in rows]
            maps.append((group.label(several), members))
            for member in group.samples:
                alone.pop(member, None)
        if len(alone) > 1:
            what = "tasks in no group" if len(alone) < len(rows) else "all tasks"
            maps.append((f"{run.label} · {what}" if several else what, list(alone.values())))
    return [
        artist.heat_map(title, [s.name for s in members], [s.predictions for s in members])
        for title, members in maps
        if members
    ]
