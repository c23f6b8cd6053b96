"""What a twin says of a model that is several models: how uncertain they are, and of what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.draws import drawn_probabilities
from lm_eval_calibration.harness.api import mean
from lm_eval_calibration.metrics.decomposition import Decomposition, decompose

UNCERTAINTIES = Decomposition._fields
DRAWS = "draws"
DIGITS = 7
"""Of the probabilities that are logged."""


def count_draws(rows: Sequence[Any]) -> float:
    """Over how many draws a document's probabilities are averaged."""
    return float(np.mean([np.shape(row)[0] * np.shape(row)[1] for row in rows]))


AGGREGATIONS: dict[str, Callable[[Sequence[Any]], float]] = {
    **dict.fromkeys(UNCERTAINTIES, mean),
    DRAWS: count_draws,
}


def uncertainty_rows(answers: Sequence[Any]) -> dict[str, Any]:
    """A document's uncertainties in nats, and its [member, draw, option] probabilities.

    Nothing, if its options' answers are not of several draws.
    """
    p = drawn_probabilities(answers)
    if p is None or p.shape[0] * p.shape[1] < 2:
        return {}
    found = decompose(p.reshape(-1, p.shape[-1]))
    logged = np.round(p, DIGITS).tolist()
    return {**{name: float(value) for name, value in found._asdict().items()}, DRAWS: logged}
