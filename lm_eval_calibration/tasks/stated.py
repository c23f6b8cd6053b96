"""What a twin says of beliefs that were asked for: how many could be read, how, and their zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval_calibration.harness.api import mean
from lm_eval_calibration.metrics.table import BoundMetric
from lm_eval_calibration.stated import MEASURES, Statement
from lm_eval_calibration.tasks.aggregation import Aggregation
from lm_eval_calibration.tasks.pool import cut_rows

RATES = ("invalid_rate", "repaired_rate", "cut_rate", "zero_rate", "zero_on_gold_rate")
VALID = "_valid"
"""Suffix of metrics on the documents alone whose reply could be read."""
OF_VALID = ("nll", "brier", "ece", "auroc")
LOGGED = "stated"


def aggregations(metrics: Sequence[BoundMetric]) -> dict[str, Callable[[Sequence[Any]], Any]]:
    """How the rows are pooled."""
    valid = {f"{b.name}{VALID}": Aggregation(b) for b in metrics if b.name in OF_VALID}
    return {**dict.fromkeys((*RATES, *MEASURES, f"acc{VALID}"), mean), **valid}


def directions(metrics: Sequence[BoundMetric]) -> dict[str, bool | None]:
    """Which way is better."""
    valid = {f"{b.name}{VALID}": b.higher_is_better for b in metrics if b.name in OF_VALID}
    return {**dict.fromkeys(RATES, False), **MEASURES, f"acc{VALID}": True, **valid}


def stated_rows(
    statement: Statement, gold: Sequence[int], acc: float, rows: Mapping[str, Any]
) -> dict[str, Any]:
    """A document's rows.

    Args:
        statement: what was stated of it.
        gold: its right options.
        acc: what the task has for `acc`: whether the most probable option is one of them, or their mass.
        rows: of the metrics of all documents.
    """
    found: dict[str, Any] = {
        "invalid_rate": float(statement.status == "invalid"),
        "repaired_rate": float(statement.status == "repaired"),
        **cut_rows(statement.cut),
        **statement.measures,
    }
    if statement.unread:
        return found
    if statement.in_words:
        zeros = [p == 0 for p in statement.probabilities]
        found["zero_rate"] = sum(zeros) / len(zeros)
        if gold:
            found["zero_on_gold_rate"] = float(all(zeros[k] for k in gold))
    found[f"acc{VALID}"] = acc
    return {**found, **{f"{name}{VALID}": rows[name] for name in OF_VALID if name in rows}}
