"""The leaderboard as one HTML page, whose only script sorts and filters its tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_calibration.analysis.leaderboard import Figure, Leaderboard, Standing
from lm_eval_calibration.files import PAGE, check_file
from lm_eval_calibration.logs.run import Run, Scope
from lm_eval_calibration.metrics.catalogue import ARROWS
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.report import pages, wording
from lm_eval_calibration.report.figures import Artist, DrawnFigure, panel
from lm_eval_calibration.report.leaderboard import front
from lm_eval_calibration.report.leaderboard.by_task import by_task

MANY = 60
"""Diagrams that a page has at most of each model's tasks; beyond, one of all its documents."""
_SCRIPT = "sorting.js"


@dataclass(frozen=True)
class BoardCell:
    """A figure: its text, half its interval, both ends in words, and what it is sorted by."""

    text: str
    half: str
    ends: str
    value: float | None


@dataclass(frozen=True)
class BoardColumn:
    """A metric: which way is better, and whether the first click puts the largest first."""

    name: str
    arrow: str
    descending: bool
    meaning: str


@dataclass(frozen=True)
class BoardLine:
    """A model's row, where it leads, and its interval drawn from 0 to 100."""

    standing: Standing
    anchor: str
    cells: list[BoardCell]
    forest: tuple[float, float, float] | None


@dataclass(frozen=True)
class BoardSection:
    """A model's diagrams."""

    model: str
    anchor: str
    place: int
    figures: list[DrawnFigure]


def write_leaderboard(
    board: Leaderboard,
    runs: Sequence[Run],
    path: str | Path,
    *,
    title: str,
    progress: Callable[[str], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write one self-contained page about a leaderboard.

    Args:
        board: as `analysis.leaderboard` made it.
        runs: it was made of.
        path: of the page; its folder is made.
        title: what the figures are of.
        progress: called with each model's name when its diagrams are drawn.
        overwrite: whether a file that is no report may be replaced.

    Returns:
        The page's path. The same input gives the same bytes.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        OutputError: something else stands at `path`, or it cannot be written to.
    """
    check_file(path, PAGE, overwrite=overwrite)
    template = pages.template("leaderboard.html")
    artist = Artist(None)
    anchors = [f"m{i}" for i in range(len(board.standings))]
    fields = {
        "title": f"Calibration leaderboard of {len(board.standings)} models",
        "of": title,
        "board": board,
        "columns": _columns(board),
        "lines": _lines(board, anchors),
        "ends": _ends(board),
        "fronts": _fronts(board, artist),
        "maps": [by_task(board, m) for m in board.metrics if len(board.tasks) > 1 and not board.pooled],
        "each_task": _each_task(board),
        "sections": _sections(board, anchors, artist, progress),
    }  # fmt: skip
    return pages.write(Path(path), template, fields, runs, script=_SCRIPT, overwrite=overwrite)


def _columns(board: Leaderboard) -> list[BoardColumn]:
    found = []
    for name in board.metrics:
        better = bind(name).higher_is_better
        found.append(BoardColumn(name, ARROWS[better], bool(better), bind(name).metric.meaning))
    return found


def _lines(board: Leaderboard, anchors: Sequence[str]) -> list[BoardLine]:
    low, high = _scale(board)
    return [
        BoardLine(s, a, [_cell(s.figures[m]) for m in board.metrics], _forest(s.figures[board.by], low, high))
        for s, a in zip(board.standings, anchors, strict=True)
    ]  # fmt: skip


def _cell(f: Figure) -> BoardCell:
    if math.isnan(f.low):
        return BoardCell(wording.number(f.value), "", "", None if math.isnan(f.value) else f.value)
    ends = f"{wording.number(f.low, 4)} to {wording.number(f.high, 4)}"
    return BoardCell(wording.number(f.value), wording.number((f.high - f.low) / 2), ends, f.value)


def _scale(board: Leaderboard) -> tuple[float, float]:
    """From the lowest to the highest end of the intervals of the metric that ranks."""
    ends = [e for s in board.standings for e in (s.figures[board.by].low, s.figures[board.by].high)]
    finite = [e for e in ends if math.isfinite(e)]
    return (min(finite), max(finite)) if finite else (0.0, 1.0)


def _ends(board: Leaderboard) -> tuple[str, str]:
    low, high = _scale(board)
    return wording.number(low, 2), wording.number(high, 2)


def _forest(f: Figure, low: float, high: float) -> tuple[float, float, float] | None:
    if not math.isfinite(f.low) or high == low:
        return None
    at = [round(100 * (x - low) / (high - low), 2) for x in (f.low, f.value, f.high)]
    return at[0], at[1], at[2]


def _fronts(board: Leaderboard, artist: Artist) -> list[DrawnFigure]:
    """Accuracy, or the first metric, against each of the others that has a direction."""
    x = next((m for m in board.metrics if m.startswith("acc")), board.metrics[0])
    found = []
    for y in board.metrics:
        if y == x or None in (bind(x).higher_is_better, bind(y).higher_is_better):
            continue
        prepared = front.prepare(board, x, y)
        if not prepared.models:
            continue

        def draw(top: float, prepared: front.Front = prepared) -> Any:
            figure, ax = panel(front, top)
            front.draw(ax, prepared)
            return figure

        name = f"{x} against {y}"
        found.append(artist.figure(name, DrawnFigure(name, "", front.caption(prepared), ""), draw))
    return found


def _each_task(board: Leaderboard) -> bool:
    return len(board.standings) * len(board.tasks) <= MANY


def _sections(
    board: Leaderboard,
    anchors: Sequence[str],
    artist: Artist,
    progress: Callable[[str], None] | None,
) -> list[BoardSection]:
    """Each model's reliability diagrams, of its tasks or of all its documents."""
    sections = []
    for standing, anchor in zip(board.standings, anchors, strict=True):
        samples = standing.samples
        scopes = [Scope(standing.model, task, (s,)) for task, s in samples.items()]
        if not _each_task(board) and len(scopes) > 1:
            scopes = [Scope(standing.model, "all tasks", tuple(samples.values()), True)]
        drawn = [_diagram(scope, artist) for scope in scopes]
        sections.append(BoardSection(standing.model, anchor, standing.place, drawn))
        if progress is not None:
            progress(standing.model)
    return sections


def _diagram(scope: Scope, artist: Artist) -> DrawnFigure:
    ece = bind("ece")
    value = ece.value(ece.metric.family.read(scope.predictions))
    estimate = Estimate("ece", value, math.nan, math.nan, math.nan, None)
    return artist.scope(scope.name, scope.predictions, {"ece": estimate}, ["reliability"])[0]
