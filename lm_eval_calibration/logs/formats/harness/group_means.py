"""How a run made its groups' rows of its tasks' rows, by what its results file holds of both.

Which mean a group's `aggregate_metric_list` asks for (`weight_by_size`) is written down nowhere. But the
file holds the group's row and its tasks', so that only one of the means that a live run may print gives it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lm_eval_calibration.json_text import part
from lm_eval_calibration.logs.run import GroupMean
from lm_eval_calibration.metrics.combine import Arithmetic, mean_of

LARGEST_GROUP = 20_000
"""Tasks in a group, a task of two subgroups counted twice; the harness's largest has some thousands."""
SAME_MEAN = 1e-9
"""Rows that differ by no more are of one mean: harness releases add in another order."""


class _Row(NamedTuple):
    """A task's or a group's figure: its standard error is NaN where the file has none."""

    value: float
    stderr: float


def counted(group: str, members: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The tasks of a group as the harness counts them: one of two subgroups stands there twice.

    Args:
        group: its name.
        members: tasks and groups in each group, no group inside itself.

    Returns:
        Nothing, if they are too many to be counted so.
    """
    ahead, found, steps = [group], list[str](), 0
    while ahead:
        this = ahead.pop()
        steps += 1
        if steps > LARGEST_GROUP:
            return ()
        inner = members.get(this)
        if inner:
            ahead += reversed(list(dict.fromkeys(inner)))
        else:
            found.append(this)
    return tuple(found)


def means_of(
    results: Mapping[str, Any], group: str, tasks: Sequence[str]
) -> dict[str, GroupMean | None]:
    """How each row of a group follows from its tasks' rows.

    Args:
        results: a results file.
        group: the group's name.
        tasks: its tasks, as `counted`.

    Returns:
        By metric; `None` for a row that is none of the means that a run prints.
    """
    rows = part(results, "results")
    own = part(rows, group)
    found: dict[str, GroupMean | None] = {}
    for key in own:
        metric, comma, _ = key.partition(",")
        row = _row(own, key)
        if comma and row is not None and not metric.endswith("_stderr"):
            known = dict(_having(rows, tasks, key))
            found[metric] = _mean(row, known, [t for t in tasks if t in known], rows)
    return found


def _having(rows: Mapping[str, Any], tasks: Sequence[str], key: str) -> Iterator[tuple[str, _Row]]:
    for task in tasks:
        row = _row(part(rows, task), key)
        if row is not None:
            yield task, row


def _mean(
    row: _Row, known: Mapping[str, _Row], tasks: Sequence[str], rows: Mapping[str, Any]
) -> GroupMean | None:
    """The arithmetic that gives a row, to the last digit if there is one that does."""
    logged = [part(rows, task).get("sample_len") for task in tasks]
    sizes = [size for size in logged if type(size) is int and 0 < size < 2**53]
    if not tasks or len(sizes) < len(tasks):
        return None
    values, stderrs = [known[t].value for t in tasks], [known[t].stderr for t in tasks]
    near = None
    for arithmetic in Arithmetic:
        try:
            with np.errstate(all="ignore"):  # (the file may hold anything)
                mean = mean_of(arithmetic, values, stderrs, sizes)
        except (OverflowError, ZeroDivisionError):
            continue
        if mean is None:
            continue
        if _same(mean.value, row.value) and _same(mean.stderr, row.stderr):
            return GroupMean(arithmetic, tuple(tasks))
        if near is None and _close(mean.value, row.value):
            near = GroupMean(arithmetic, tuple(tasks))
    return near


def _row(rows: Mapping[str, Any], key: str) -> _Row | None:
    metric, _, filter_name = key.partition(",")
    value, stderr = rows.get(key), rows.get(f"{metric}_stderr,{filter_name}")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    known = isinstance(stderr, (int, float)) and not isinstance(stderr, bool)
    try:
        return _Row(float(value), float(stderr) if known and stderr is not None else math.nan)
    except OverflowError:
        return None


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _close(a: float, b: float) -> bool:
    return _same(a, b) or math.isclose(a, b, rel_tol=SAME_MEAN, abs_tol=SAME_MEAN)
