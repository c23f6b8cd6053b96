"""What is said beneath the harness's table of a run: what is undefined, means nothing, or is of another split."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lm_eval_calibration.metrics.pool_summary import GAIN
from lm_eval_calibration.metrics.table import bind, is_metric
from lm_eval_calibration.tasks.base import SPLIT
from lm_eval_calibration.tasks.groups import MACRO
from lm_eval_calibration.tasks.pool import UNANSWERED
from lm_eval_calibration.tasks.stated import VALID

Rows = Mapping[str, Any]
UNDEFINED = "-"
"""How a table says that a value is undefined."""
NOTES_LISTED = 5
LOOK = "the log, and the replies in the samples, say why"


def notes(
    shown: Mapping[str, Rows], rows: Mapping[str, Rows], configs: Mapping[str, Any]
) -> list[str]:
    """What there is to say.

    Args:
        shown: by task or group, the rows of the table.
        rows: all of them.
        configs: of the tasks.
    """
    unread = [name for name, mine in rows.items() if _unread(mine)]
    none = f"{', '.join(unread)}: no reply could be read, so the figures mean nothing: {LOOK}."
    return [
        *_undefined(shown),
        *([none] if unread else []),
        *(text for name, mine in rows.items() for text in _unanswered(name, mine)),
        *(text for name in rows for text in _elsewhere(name, configs)),
    ]


def is_stderr(key: str) -> bool:
    """Whether a key of results is that of a standard error."""
    return key.partition(",")[0].endswith("_stderr")


def _undefined(shown: Mapping[str, Rows]) -> list[str]:
    """Metrics without a value, by why they have none."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for name, rows in shown.items():
        several = len({key.partition(",")[2] for key in rows if "," in key}) > 1
        for key, value in rows.items():
            if isinstance(value, float) and math.isnan(value) and not is_stderr(key):
                metric, _, filter_name = key.partition(",")
                where = f"{name} ({filter_name})" if several else name
                kinds.setdefault(_kind(metric), {}).setdefault(metric, []).append(where)
    return [f"{UNDEFINED}: {_listed(where)}, {kind}." for kind, where in kinds.items()]


def _kind(metric: str) -> str:
    """Why a metric is undefined, in words."""
    if metric == GAIN:
        return "where no document has both a right and a wrong candidate"
    base = metric.removesuffix(MACRO).removesuffix(VALID)
    if is_metric(base) and bind(base).metric.ranks:
        return "where all answers are right, or all wrong, so that there is nothing to rank"
    return "where no document has what it reads"


def _listed(where: Mapping[str, list[str]]) -> str:
    """Metrics, and the tasks in which they are undefined."""
    tasks = list(dict.fromkeys(name for names in where.values() for name in names))
    more = f" and {len(tasks) - NOTES_LISTED} more" if len(tasks) > NOTES_LISTED else ""
    metrics = ", ".join(f"`{metric}`" for metric in where)
    return f"{metrics} of {', '.join(tasks[:NOTES_LISTED])}{more}"


def _unread(rows: Rows) -> bool:
    """Whether none of a task's replies could be read."""
    shares = {key: value for key, value in rows.items() if isinstance(value, (int, float))}
    for key, value in shares.items():
        name, _, filter_name = key.partition(",")
        unread = value + shares.get(f"cut_rate,{filter_name}", 0.0)
        if name == "invalid_rate" and unread >= 1:
            return value == 1 or f"acc{VALID},{filter_name}" not in rows
    return False


def _unanswered(name: str, rows: Rows) -> list[str]:
    """That a filter found no answer in any reply of a task."""
    filters = [
        k.partition(",")[2] for k, v in rows.items() if k.startswith(f"{UNANSWERED},") and v == 1
    ]
    return [
        f"{name}: the filter `{each}` found no answer in any reply, so its figures mean nothing; the replies are in "
        "the samples."
        for each in filters
    ]


def _elsewhere(name: str, configs: Mapping[str, Any]) -> list[str]:
    """That a task was evaluated on another split than its own."""
    metadata = (configs.get(name) or {}).get("metadata") or {}
    split = metadata.get(SPLIT) if isinstance(metadata, Mapping) else None
    return [f"{name}: evaluated on its split `{split}`."] if split else []
