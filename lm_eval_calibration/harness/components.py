"""Our metrics under the harness's registries, as `calib_<metric>`, and our filters.

For tasks that score documents by a `process_results` of their own: let it return a row per
metric, such as `[confidence, correct]`, and name `aggregation: calib_ece`. Twins and
`CalibrationTask` do not need it. Names are prefixed because built-in ones would win.
"""

from __future__ import annotations

from typing import Any

from lm_eval.api import registry

from lm_eval_calibration.metrics.table import METRICS, bind
from lm_eval_calibration.tasks.aggregation import Aggregation
from lm_eval_calibration.tasks.verbal_filters import (
    RecalibrationFilter,
    ResoftmaxFilter,
    VerbalizedFilter,
)

AGGREGATIONS = {
    f"calib_{name}": Aggregation(bind(name)) for name, m in METRICS.items() if m.parameter is None
}


def passthrough(items: Any) -> Any:
    """A document's row, as it is: the aggregation does the work."""
    return items


def _register(name: str, aggregation: Aggregation) -> None:
    if name not in registry.aggregation_registry:
        registry.register_aggregation(name)(aggregation)
    if name not in registry.metric_registry:
        registry.register_metric(
            metric=name,
            higher_is_better=aggregation.bound.higher_is_better,
            aggregation=name,
        )(passthrough)


for _name, _aggregation in AGGREGATIONS.items():
    _register(_name, _aggregation)


FILTERS = {
    "verbalized": VerbalizedFilter,
    "inverse_softmax": RecalibrationFilter,
    "resoftmax": ResoftmaxFilter,
}
"""What a task's `filter_list` may name."""

for _name, _filter in FILTERS.items():
    if _name not in registry.filter_registry:
        registry.register_filter(_name)(_filter)


def __getattr__(name: str) -> Aggregation:
    """`components:calib_ece`, as entry points name it."""
    if name in AGGREGATIONS:
        return AGGREGATIONS[name]
    raise AttributeError(name)
