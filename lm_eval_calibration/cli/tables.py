"""Tables for the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from lm_eval_calibration.cli.formats import print_tables
from lm_eval_calibration.logs import FORMATS
from lm_eval_calibration.members import BrokenMemberError
from lm_eval_calibration.metrics.catalogue import ARROWS, every_metric
from lm_eval_calibration.metrics.table import DEFAULT_METRICS, Metric


def print_metrics() -> None:
    """Print what `--metrics` and a `metric_list` may name: name, direction, options, meaning."""
    table = Table("metric", "", "options", "meaning", box=None, header_style="bold")
    for metric in every_metric():
        table.add_row(
            _name(metric),
            ARROWS[metric.higher_is_better],
            ", ".join(metric.options),
            metric.meaning + (" (default)" if metric.name in DEFAULT_METRICS else ""),
        )
    Console().print(table)
    Console().print(
        "Suffixes: _null (what a perfectly calibrated model with the same confidences would "
        "score), _norm and _bytes (on probabilities normalised by the options' characters or bytes), "
        "_macro (a group's plain mean over its tasks, in LM_EVAL_CALIBRATION_METRICS; else by size)."
    )


def print_formats() -> None:
    """Print `FORMATS`: name, package, meaning; and why one cannot be used."""
    table = Table("format", "package", "meaning", box=None, header_style="bold")
    for name in FORMATS:
        try:
            meaning = FORMATS[name].meaning
        except BrokenMemberError as error:
            meaning = str(error)
        table.add_row(name, FORMATS.package(name) or "lm-eval-calibration", meaning)
    print_tables([table])


def _name(metric: Metric) -> str:
    return f"{metric.name}_<{metric.parameter}>" if metric.parameter else metric.name
