"""What the harness's table shows of a run's results: what one reads. The results keep everything."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lm_eval_calibration.metrics.pool_summary import GAIN
from lm_eval_calibration.metrics.table import bind, is_metric
from lm_eval_calibration.tasks.asked_metrics import ALL, KEY, VARIABLE
from lm_eval_calibration.tasks.groups import MACRO
from lm_eval_calibration.tasks.stated import RATES, VALID

Rows = Mapping[str, Any]
SECONDARY = ("worst", "disc_lenient")
"""Of pools, rows that are looked up rather than read."""
LOOK = "the log says why, and shows three of them"
UNDEFINED = "-"
"""How a table says that a value is undefined."""
TROUBLES = ("unanswered_rate", "outside_rate", *(rate for rate in RATES if rate != "invalid_rate"))
"""Rates that are shown where they are not 0."""


class Shown(NamedTuple):
    """Results as a table shows them, and what is said beneath it."""

    results: dict[str, Any]
    notes: list[str]


def shown_rows(results: Mapping[str, Any], column: str, plain_groups: Iterable[str] = ()) -> Shown:
    """What a table of results shows.

    Args:
        results: of a run, as the harness has them.
        column: `results` or `groups`.
        plain_groups: whose own rows are plain means, by `weight_by_size: false`.

    Returns:
        A copy of `results` with fewer rows in `column`; rows that are not ours are all there.
    """
    plain, found, hidden = set(plain_groups), {}, 0
    undefined: dict[str, dict[str, list[str]]] = {}
    for name, rows in results[column].items():
        wanted = _wanted(name, results)
        if wanted is None:
            found[name] = rows
            continue
        kept = {
            key: value for key, value in rows.items() if _shows(key, rows, wanted, name in plain)
        }
        hidden += sum(not _is_stderr(key) for key in rows.keys() - kept.keys())
        found[name] = kept
        for key, value in kept.items():
            if isinstance(value, float) and math.isnan(value) and not _is_stderr(key):
                undefined.setdefault(_kind(key), {}).setdefault(key.partition(",")[0], []).append(
                    name
                )
    notes = [f"{UNDEFINED}: {_listed(where)}, {kind}." for kind, where in undefined.items()]
    if empty := [
        name for name in found if _wanted(name, results) is not None and _unread(found[name])
    ]:
        notes.append(
            f"{', '.join(empty)}: no reply could be read, so the figures mean nothing: {LOOK}."
        )
    if hidden:
        notes.append(f"{hidden} more rows are in the results; {VARIABLE}=all shows them.")
    return Shown({**results, column: found}, notes)


def _wanted(name: str, results: Mapping[str, Any]) -> set[str] | None:
    """The names to show of a task, or of a group's tasks; `None` where there is no twin."""
    members = (results.get("group_subtasks") or {}).get(name)
    if members:
        found = [_wanted(member, results) for member in members if member != name]
        known = [names for names in found if names is not None]
        return set().union(*known) if known else None
    metadata = ((results.get("configs") or {}).get(name) or {}).get("metadata")
    names = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    return None if names is None else set(names)


def _shows(key: str, rows: Rows, wanted: set[str], plain: bool) -> bool:
    """Whether a row is shown; its standard error goes with it."""
    name, _, filter_name = key.partition(",")
    name = name.removesuffix("_stderr")
    if ALL in wanted or name in wanted:
        return not plain or ALL in wanted or f"{name}{MACRO},{filter_name}" not in rows
    if name.endswith(MACRO):
        base = name.removesuffix(MACRO)
        return base in wanted and plain
    if name.endswith(VALID):
        unread = [rows.get(f"{rate},{filter_name}", 0.0) for rate in ("invalid_rate", "cut_rate")]
        return any(unread) and name.removesuffix(VALID) in {"acc", *wanted}
    if name in TROUBLES:
        return bool(rows.get(f"{name},{filter_name}"))
    return name not in SECONDARY and not is_metric(name)


def _unread(rows: Rows) -> bool:
    """Whether none of a task's replies could be read."""
    shares = {key: value for key, value in rows.items() if isinstance(value, (int, float))}
    for key, value in shares.items():
        name, _, filter_name = key.partition(",")
        unread = value + shares.get(f"cut_rate,{filter_name}", 0.0)
        if name == "invalid_rate" and unread >= 1:
            return value == 1 or f"acc{VALID},{filter_name}" not in rows
    return False


def _kind(key: str) -> str:
    """Why a metric is undefined, in words."""
    if key.partition(",")[0] == GAIN:
        return "where no document has both a right and a wrong candidate"
    base = key.partition(",")[0].removesuffix(MACRO).removesuffix(VALID)
    if is_metric(base) and bind(base).metric.ranks:
        return "where all answers are right, or all wrong, so that there is nothing to rank"
    return "where no document has what it reads"


def _listed(where: Mapping[str, list[str]]) -> str:
    """Metrics, and the tasks in which they are undefined."""
    tasks = list(dict.fromkeys(name for names in where.values() for name in names))
    more = f" and {len(tasks) - 5} more" if len(tasks) > 5 else ""
    metrics = ", ".join(f"`{metric}`" for metric in where)
    return f"{metrics} of {', '.join(tasks[:5])}{more}"


def _is_stderr(key: str) -> bool:
    return key.partition(",")[0].endswith("_stderr")
