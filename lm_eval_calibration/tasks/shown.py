"""What the harness's table shows of a run's results: what one reads. The results keep everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lm_eval_calibration.metrics.table import bind, is_metric
from lm_eval_calibration.tasks.asked_metrics import ALL, KEY, VARIABLE
from lm_eval_calibration.tasks.footnotes import is_stderr, notes
from lm_eval_calibration.tasks.groups import MACRO
from lm_eval_calibration.tasks.stated import RATES, VALID

Rows = Mapping[str, Any]
SECONDARY = ("worst", "disc_lenient")
"""Of pools, rows that are looked up rather than read."""
TROUBLES = ("unanswered_rate", "outside_rate", *(rate for rate in RATES if rate != "invalid_rate"))
"""Rates that are shown where they are not 0."""


class ShownTable(NamedTuple):
    """Results as a table shows them, and what is said beneath it."""

    results: dict[str, Any]
    notes: list[str]


def shown_rows(
    results: Mapping[str, Any], column: str, plain_groups: Iterable[str] = ()
) -> ShownTable:
    """What a table of results shows.

    Args:
        results: of a run, as the harness has them.
        column: `results` or `groups`.
        plain_groups: whose own rows are plain means, by `weight_by_size: false`.

    Returns:
        A copy of `results` with fewer rows in `column`; rows that are not ours are all there.
    """
    plain, found, hidden = set(plain_groups), {}, 0
    twins: dict[str, Rows] = {}
    for name, rows in results[column].items():
        wanted = _wanted(name, results)
        if wanted is None:
            found[name] = rows
            continue
        twins[name] = rows
        kept = {
            key: value for key, value in rows.items() if _shows(key, rows, wanted, name in plain)
        }
        hidden += sum(not is_stderr(key) for key in rows.keys() - kept.keys())
        found[name] = kept
    said = notes({name: found[name] for name in twins}, twins, results.get("configs") or {})
    if hidden:
        said.append(f"{hidden} more rows are in the results; {VARIABLE}=all shows them.")
    return ShownTable({**results, column: found}, said)


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
    stated = f"invalid_rate,{filter_name}" in rows and ALL not in wanted
    if stated and is_metric(name) and bind(name).normalisation:
        return False  # (a probability that was stated has no length)
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
