"""`lm-calib card`: the `model-index` block of a hub model card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration.cli.score import score_runs
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.exports.model_card import add_to_card, as_yaml, model_index
from lm_eval_calibration.logs import Run
from lm_eval_calibration.metrics.catalogue import SUMMARY_METRICS


class CardBlock(NamedTuple):
    """The block, as values and as text, and which figures it has not."""

    values: list[dict[str, Any]]
    text: str
    left_out: list[str]


def block(runs: Sequence[Run], metrics: Sequence[str] | None, replicates: int) -> CardBlock:
    """The figures of one run's tasks.

    Raises:
        InvalidInputError: not one run.
    """
    if len(runs) != 1:
        labels = ", ".join(run.label for run in runs)
        raise invalid("RUN", "one model's run: a card is of one model", labels)
    run = runs[0]
    scored = [
        s for s in score_runs(runs, metrics or SUMMARY_METRICS, replicates) if not s.scope.pooled
    ]
    index = model_index(run, scored)
    left_out = [
        f"{name} of {s.scope.name or 'all documents'} is {e.value}"
        for s in scored
        for name, e in s.estimates.items()
        if not math.isfinite(e.value)
    ]
    return CardBlock(index, as_yaml(index), left_out)


def into(path: Path, found: CardBlock) -> None:
    """Put the block into a card."""
    add_to_card(path, found.values)
