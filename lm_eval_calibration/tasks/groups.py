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
    left_out: dict[tuple[str, ...], list[str]] = {}
    ours = dict.fromkeys(b.name for t in twins for b in t.calibration_metrics)
    for metric in [*ours, *UNCERTAINTIES]:
        for filter_name in _filters(metric, twins, results):
            found = [
                (t.row_name, _figures(results[t.row_name], metric, filter_name)) for t in twins
            ]
            rows.update(_mean_rows(metric, filter_name, [f for _, f in found if f is not None]))
            if missing := tuple(task for task, figures in found if figures is None):
                left_out.setdefault(missing, []).append(f"`{metric}`")
    for missing, metrics in left_out.items():
        log.warning(
            "Group `%s`: %s undefined in %s, and left out of the group's mean.",
            name, f"{', '.join(metrics)} {'is' if len(metrics) == 1 else 'are'}",
            ", ".join(f"`{task}`" for task in missing),
        )  # fmt: skip
    return rows


def _filters(metric: str, twins: list[CalibrationTask], results: Mapping[str, Any]) -> list[str]:
    """The filters under which the twins report `metric`."""
    found = (key.partition(",") for t in twins for key in results[t.row_name])
    return sorted({filter_name for m, _, filter_name in found if m == metric})


def _figures(
    row: Mapping[str, Any], metric: str, filter_name: str
) -> tuple[float, float | str, int] | None:
    """A task's value, standard error and documents; `None` where the metric is undefined."""
    value = row.get(f"{metric},{filter_name}")
    if value is None or math.isnan(value):
        return None
    return value, row.get(f"{metric}_stderr,{filter_name}", "N/A"), row["sample_len"]


def _mean_rows(
    metric: str, filter_name: str, figures: list[tuple[float, float | str, int]]
) -> dict[str, Any]:
    """By size, and plain."""
    if not figures:
        return {}
    values, errors, sizes = zip(*figures, strict=True)
    known = [math.nan if error == "N/A" else float(error) for error in errors]
    rows: dict[str, Any] = {}
    for suffix, weights in (("", sizes), (MACRO, [1] * len(sizes))):
        mean = weighted_mean(values, known, weights)
        rows[f"{metric}{suffix},{filter_name}"] = mean.value
        stderr = mean.stderr if math.isfinite(mean.stderr) else "N/A"
        rows[f"{metric}{suffix}_stderr,{filter_name}"] = stderr
    return rows
