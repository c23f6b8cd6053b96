"""A run's own table, held against what follows from its documents."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.normalisation import SUFFIXES

SAME = 1e-9
"""Rounding of a mean."""


def differences(samples: Samples, results: Mapping[str, Any]) -> tuple[str, ...]:
    """What the results file of a run says otherwise than its documents do: both figures.

    A task's own `acc` may be something else than whether the likeliest option is right (TruthfulQA's
    mc2 is the probability of all right options). Nothing where another number of documents was scored.

    Args:
        samples: of a task, as read.
        results: the results file of the run that wrote them; {} if there is none.
    """
    row = _object(_object(results, "results"), samples.task)
    counted = _object(_object(results, "n-samples"), samples.task).get("effective", len(samples))
    if counted != len(samples):
        return ()
    found = []
    for suffix in SUFFIXES:
        mine = samples.predictions if not suffix else samples.normalised.get(suffix)
        theirs = row.get(f"acc{suffix},none")
        if mine is None or isinstance(theirs, bool) or not isinstance(theirs, (int, float)):
            continue
        ours = float(mine.correct.mean())
        if not math.isclose(ours, theirs, rel_tol=SAME, abs_tol=SAME):
            found.append(
                f"the run printed acc{suffix} {theirs:.4f}, and {ours:.4f} is how often the likeliest "
                "option is right: its own `acc` is something else, or the log is not whole"
            )
    return tuple(found)


def _object(within: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = within.get(name)
    return found if isinstance(found, Mapping) else {}
