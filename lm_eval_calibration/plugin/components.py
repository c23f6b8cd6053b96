"""Our metrics under the harness's registries, as `calib_<metric>`, and our filters.

For tasks that score documents by a `process_results` of their own: let it return a row per
metric, such as `[confidence, correct]`, and name `aggregation: calib_ece`. Twins and
`CalibrationTask` do not need it. Names are prefixed because built-in ones would win.
"""

from __future__ import annotations

from lm_eval_calibration.harness.registering import passthrough, register
from lm_eval_calibration.metrics.table import METRICS, bind
from lm_eval_calibration.tasks.aggregation import Aggregation
from lm_eval_calibration.tasks.verbal_filters import (
    RecalibrationFilter,
    ResoftmaxFilter,
    VerbalizedFilter,
)

__all__ = ["AGGREGATIONS", "FILTERS", "passthrough"]

AGGREGATIONS = {
    f"calib_{m.name}": Aggregation(bind(m.name)) for m in METRICS.usable() if m.parameter is None
}

FILTERS = {
    "verbalized": VerbalizedFilter,
    "inverse_softmax": RecalibrationFilter,
    "resoftmax": ResoftmaxFilter,
}
"""What a task's `filter_list` may name."""

register(AGGREGATIONS, FILTERS)


def __getattr__(name: str) -> Aggregation:
    """`components:calib_ece`, as entry points name it."""
    if name in AGGREGATIONS:
        return AGGREGATIONS[name]
    raise AttributeError(name)
