"""Metrics, aggregations and filters under the harness's registries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval.api import registry

OUTPUT_TYPES = ["multiple_choice", "generate_until", "loglikelihood", "loglikelihood_rolling"]


def passthrough(items: Any) -> Any:
    """A document's row, as it is: the aggregation does the work."""
    return items


def register(aggregations: Mapping[str, Any], filters: Mapping[str, type]) -> None:
    """Make what is not known yet known: each aggregation also as a metric of its name."""
    for name, aggregation in aggregations.items():
        if name not in registry.aggregation_registry:
            registry.register_aggregation(name)(aggregation)
        if name not in registry.metric_registry:
            up = aggregation.bound.higher_is_better
            register_metric = registry.register_metric(
                metric=name, higher_is_better=up, aggregation=name, output_type=OUTPUT_TYPES
            )
            register_metric(passthrough)
    for name, kind in filters.items():
        if name not in registry.filter_registry:
            registry.register_filter(name)(kind)
