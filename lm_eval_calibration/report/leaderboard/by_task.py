"""A heat map of models by tasks, as a table whose cells are the deeper, the better a model is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval_calibration.analysis.leaderboard import Leaderboard
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.report import wording

DEEPEST = 60
"""Per cent of colour in the best cell of a task; ink is readable on it in both schemes."""


@dataclass(frozen=True)
class Square:
    """One model on one task: its figure, what a table is sorted by, and how deep its colour is."""

    text: str
    value: float | None
    depth: int


@dataclass(frozen=True)
class ByTask:
    """One metric of M models on T tasks.

    Attributes:
        metric: its name; `best` which way is better, in words.
        tasks: (T,) names in full, with what they are called in the table.
        rows: (M, T), the models in the leaderboard's order.
    """

    metric: str
    best: str
    tasks: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Square, ...], ...]


def by_task(board: Leaderboard, metric: str) -> ByTask:
    """One metric, with colours from the worst to the best model of each task."""
    tasks = list(board.standings[0].tasks[metric])
    columns = [
        _column([s.tasks[metric][task].value for s in board.standings], metric) for task in tasks
    ]
    shared = wording.common_start(tasks, "_")
    better = {True: "highest", False: "lowest", None: ""}[bind(metric).higher_is_better]
    names = tuple((task, task.removeprefix(shared)) for task in tasks)
    return ByTask(metric, better, names, tuple(zip(*columns, strict=True)))


def _column(values: Sequence[float], metric: str) -> list[Square]:
    finite = [value for value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return [Square(wording.number(v), _sortable(v), _depth(v, low, high, metric)) for v in values]


def _depth(value: float, low: float, high: float, metric: str) -> int:
    better = bind(metric).higher_is_better
    if better is None or not math.isfinite(value) or high == low:
        return 0
    share = (value - low) / (high - low)
    return round(DEEPEST * (share if better else 1 - share))


def _sortable(value: float) -> float | None:
    return None if math.isnan(value) else value
