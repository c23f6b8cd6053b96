"""Rows of a group: its twins' calibration metrics, as size-weighted and as plain mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lm_eval_calibration.messages import logger
from lm_eval_calibration.metrics.combine import weighted_mean
from lm_eval_calibration.tasks.twin import CalibrationTask
from lm_eval_calibration.tasks.uncertainty import UNCERTAINTIES

log = logger(__name__)

MACRO = "_macro"


def group_rows(
    name: str, tasks: Iterable[Any], results: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Calibration rows of the group `name`.

    Args:
        name: the group's name, for messages.
        tasks: all leaf tasks of the group, twins or not.
        results: the harness's rows per task name: `"ece,none"`, `"ece_stderr,none"`,
            `"sample_len"`...

    Returns:
        For each calibration metric m: `m` is the mean over documents' tasks weighted by size,
        `m_macro` the plain mean over tasks, each with a standard error (tasks are independent).
        The mean of the tasks' ECE is not the ECE of the pooled documents, where one task's
        over-confidence cancels another's under-confidence. Tasks in which the metric is undefined
        (NaN) are left out of it, with a warning.
    """
    twins = [t for t in tasks if isinstance(t, CalibrationTask) and t.row_name in results]
    rows: dict[str, Any] = {}
    ours = dict.fromkeys(b.name for t in twins for b in t.calibration_metrics)
    for metric in [*ours, *UNCERTAINTIES]:
        for key in _keys(metric, twins, results):
            rows.update(_mean_rows(name, metric, key, twins, results))
    return rows


def _keys(metric: str, twins: list[CalibrationTask], results: Mapping[str, Any]) -> list[str]:
    """The filters under which the twins report `metric`."""
    found = (key.partition(",") for t in twins for key in results[t.row_name])
    return sorted({filter_name for m, _, filter_name in found if m == metric})


def _mean_rows(
    group: str,
    metric: str,
    filter_name: str,
    twins: list[CalibrationTask],
    results: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    values, errors, sizes = [], [], []
    for task in twins:
        row = results[task.row_name]
        value = row.get(f"{metric},{filter_name}")
        if value is None or math.isnan(value):
            log.warning(
                "Group `%s`: `%s` is undefined in `%s`, and left out of the group's mean.",
                group, metric, task.row_name,
            )  # fmt: skip
            continue
        values.append(value)
        errors.append(row.get(f"{metric}_stderr,{filter_name}", "N/A"))
        sizes.append(row["sample_len"])
    if not values:
        return {}
    rows: dict[str, Any] = {}
    for suffix, weights in (("", sizes), (MACRO, [1] * len(sizes))):
        known = "N/A" not in errors
        mean = weighted_mean(values, errors if known else [math.nan] * len(values), weights)
        rows[f"{metric}{suffix},{filter_name}"] = mean.value
        rows[f"{metric}{suffix}_stderr,{filter_name}"] = mean.stderr if known else "N/A"
    return rows
