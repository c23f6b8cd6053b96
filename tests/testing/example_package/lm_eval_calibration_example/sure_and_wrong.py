"""How often the answers that the model is sure of are wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.metrics import Metric, families
from lm_eval_calibration.metrics.proper import mean


def sure_and_wrong(confidence: Any, correct: Any, *, threshold: float, weight: Any = None) -> Any:
    """Error rate of the answers whose confidence is at least `threshold`; NaN if there is none."""
    wrong = np.where(confidence >= threshold, 1.0 - correct, np.nan)
    return mean(wrong, weight=weight)


METRIC = Metric(
    "sure_and_wrong",
    sure_and_wrong,
    families.PAIRS,
    higher_is_better=False,
    meaning="error rate of the answers with at least this confidence",
    parameter="threshold",
    default=0.9,
)
