"""Which metrics somebody asked for beside those of a task's YAML, and what a twin then computes."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lm_eval_calibration.errors import invalid, unknown_name
from lm_eval_calibration.metrics.catalogue import METRICS, all_names
from lm_eval_calibration.metrics.table import is_metric
from lm_eval_calibration.normalisation import parted

VARIABLE = "LM_EVAL_CALIBRATION_METRICS"
KEY = "calibration_metrics"
"""Under which the `metadata` of a task, or of a run, has the same."""
ALL, DEFAULT = "all", "default"
READ = ("nll", "brier", "ece", "ece_null", "auroc")
"""What a table shows of a task where nobody asked for anything."""


def asked(metadata: Mapping[str, Any] | None, others: Collection[str] = ()) -> tuple[str, ...]:
    """The names that somebody asked for; () where nobody did.

    Args:
        metadata: of a task, with which the harness joined `--metadata`. It goes before the variable.
        others: what a name may be beside a metric: other rows of the task.

    Raises:
        InvalidInputError: neither a text nor a list of texts.
        UnknownNameError: a name that is no metric.
    """
    given, where = (metadata or {}).get(KEY), f"metadata: {KEY}"
    if given is None:
        given, where = os.environ.get(VARIABLE, ""), VARIABLE
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        raise invalid(where, "`all`, `default` or names of metrics, as nll,ece", repr(given))
    found = tuple(dict.fromkeys(name.strip() for name in names if name.strip()))
    for name in found:
        known = name in (ALL, DEFAULT, "acc") or name in others
        if not known and not is_metric(name.removesuffix("_macro")):
            stem = parted(name.removesuffix("_macro"))[0].removesuffix("_null")
            raise unknown_name(f"metric in `{where}`:", stem, [ALL, DEFAULT, *METRICS])
    return found


def computed(asked_for: Sequence[str], ours: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """The names to compute beside `ours`.

    Args:
        asked_for: see `asked`.
        ours: what the task has anyway.
        suffixes: of the normalisations that the task has verdicts of, the plain one first.
    """
    names = [n.removesuffix("_macro") for n in asked_for]
    if ALL in names:
        names = [f"{name}{suffix}" for suffix in suffixes for name in all_names()]
    return [n for n in dict.fromkeys(names) if is_metric(n) and n not in ours]


def shown(asked_for: Sequence[str], named: Sequence[str], suffixes: Sequence[str]) -> list[str]:
    """The names that a table shows: `all`, what was asked for, the YAML's own, or what one reads.

    Args:
        asked_for: see `asked`.
        named: our metrics that the task's YAML names.
        suffixes: as `computed` has it.
    """
    if ALL in asked_for:
        return [ALL]
    usual = list(named) or [f"{name}{suffix}" for suffix in suffixes for name in READ]
    wanted = [usual if name == DEFAULT else [name] for name in asked_for] or [usual]
    return list(dict.fromkeys(name for names in wanted for name in names))
