"""The reading of names such as `ece_null_norm`, and a metric as somebody asked for it.

A name in a task's `metric_list` is `<metric>[_null][_norm|_bytes]`, or `acc_at_coverage_0.8`:

- `_null`: what a perfectly calibrated model with the same beliefs would score;
- `_norm`, `_bytes`: on probabilities normalised by the options' characters or bytes, as the harness's
  `acc_norm` and `acc_bytes` are to `acc`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError, unknown_name
from lm_eval_calibration.metrics import intervals
from lm_eval_calibration.metrics.catalogue import ACC, METRICS, Metric, known
from lm_eval_calibration.metrics.catalogue import DEFAULT_METRICS as DEFAULT_METRICS
from lm_eval_calibration.metrics.documents import Documents
from lm_eval_calibration.metrics.families import Columns
from lm_eval_calibration.metrics.grouping import Groups
from lm_eval_calibration.metrics.intervals import Spread
from lm_eval_calibration.metrics.resampling import REPLICATES
from lm_eval_calibration.normalisation import PLAIN, parted
from lm_eval_calibration.predictions import Predictions


@dataclass(frozen=True)
class BoundMetric:
    """A metric as somebody asked for it: a full name, options bound, `_null` and the normalisation's suffix read."""

    name: str
    metric: Metric
    options: Mapping[str, Any] = field(default_factory=dict)
    null: bool = False
    normalisation: str = PLAIN

    @property
    def higher_is_better(self) -> bool | None:
        """The direction; `None` for a null, which is a yardstick and not a score."""
        return None if self.null else self.metric.higher_is_better

    @property
    def score(self) -> Callable[..., Any]:
        """The metric's function with the options bound."""
        return partial(self.metric.function, **self.options)

    def rows(self, predictions: Predictions) -> list[Any]:
        """One small JSON value per document: all that the metric needs of it."""
        family = self.metric.family
        return family.to_rows(family.read(predictions))

    def columns(self, rows: Sequence[Any]) -> Columns:
        """The metric's arguments, from the rows of all documents."""
        return self.metric.family.from_rows(rows)

    def value(self, columns: Columns) -> float:
        """The metric on these documents (for a null: the mean of its draws)."""
        if not self.null:
            return self.score(*self.arguments(columns))
        draws = self.null_draws(columns, REPLICATES)
        defined = draws[np.isfinite(draws)]  # an AUROC is not, where all draws are right
        return float(defined.mean()) if defined.size else float("nan")

    def stderr(
        self, columns: Columns, replicates: int = REPLICATES, clusters: Groups | None = None
    ) -> float:
        """Its standard error over documents (for a null: the deviation of its draws)."""
        documents = Documents(self.metric.family, columns, replicates, clusters=clusters)
        value = float("nan") if self.null else self.value(columns)
        return self.spread(documents, value).stderr

    def null_draws(self, columns: Columns, replicates: int) -> Any:
        """(replicates,) scores of a perfectly calibrated model with these beliefs, or `None`."""
        return self.draw_null(Documents(self.metric.family, columns, replicates))

    def spread(self, documents: Documents, value: float, null: Any = None) -> Spread:
        """Standard error and 95 % interval of its `value` (for a null: of its draws).

        Given the `null` draws, the interval of a calibration error also allows for what noise adds to it.
        """
        if self.null:
            return intervals.band(self.draw_null(documents))
        closed_form = documents.family.closed_form
        if closed_form is not None:
            spread = closed_form(documents.columns, value, documents.clusters)
        else:
            resampled = documents.smoothed if self.metric.smoothed else documents.bootstrap
            draws, centre = resampled.draws(self.score), resampled.centre(self.score)
            biased, noise = self.metric.biased_upwards, None
            if self.metric.calibration_error and null is not None:
                noise = float(np.nanmean(null))
            spread = intervals.bootstrap_spread(value, draws, centre, biased, noise)
            if self.metric.no_interval:
                return Spread(spread.stderr, math.nan, math.nan)
        return spread.within(self.metric.bounds, value)

    def draw_null(self, documents: Documents) -> Any:
        """`null_draws` of documents whose resampling is shared with other metrics.

        Those of a calibration error grow with how much the residuals of a cluster go together.
        """
        if self.metric.null is not None:
            draws = self.metric.null(
                *documents.columns, replicates=documents.replicates, **self.options
            )
        else:
            draws = documents.null and documents.null(self.score)
        if draws is None or documents.clusters is None or not self.metric.calibration_error:
            return draws
        return np.minimum(draws * documents.together, self.metric.bounds[1])

    def arguments(self, columns: Columns) -> Columns:
        """The columns that the function takes (a mean also carries its null moments)."""
        return columns[:1] if self.metric.family.averaged else columns


def bind(name: str, options: Mapping[str, Any] | None = None) -> BoundMetric:
    """Read a metric's full name and bind its options.

    Args:
        name: `<metric>[_null][_norm|_bytes]`; parametrised metrics carry a number, as in
            `acc_at_coverage_0.8`, or take it as an option.
        options: keyword options of the metric's function, e.g. `{"num_bins": 10}`.

    Raises:
        UnknownNameError: no such metric or option; near names are suggested.
        InvalidInputError: a missing or impossible option value, or a null that cannot be had.

    >>> bind("ece_null_norm", {"num_bins": 10}).metric.name
    'ece'
    """
    stem, normalisation = parted(name)
    stem, null = _without_null(stem)
    metric, parameter = _find(stem, name)
    given = {**parameter, **(options or {})}
    if parameter and set(parameter) & set(options or {}):
        raise InvalidInputError(
            f"`{name}` carries its `{metric.parameter}` already: name the metric `{metric.name}`, "
            "or leave the option out."
        )
    for option in given:
        if option not in metric.options:
            raise unknown_name(f"option of the metric `{metric.name}`:", option, metric.options)
    if metric.parameter and metric.parameter not in given:
        raise InvalidInputError(
            f"The metric `{metric.name}` needs a number: write `{metric.name}_0.9`, or give the "
            f"option `{metric.parameter}`."
        )
    if null and metric.family.averaged:
        raise InvalidInputError(
            f"`{name}` cannot be had from logged values; "
            "`lm_eval_calibration.evaluate` reports the null of every metric."
        )
    bound = BoundMetric(name, metric, given, null, normalisation)
    bound.score(*metric.family.from_rows(metric.family.example))  # a bad option value fails here
    return bound


def is_metric(name: object) -> bool:
    """Whether `name` names one of our metrics (with or without suffixes), and not upstream's."""
    if not isinstance(name, str):
        return False
    try:
        metric, _ = _find(_without_null(parted(name)[0])[0], name)
    except InvalidInputError:
        return False
    return metric.name in METRICS


def _without_null(name: str) -> tuple[str, bool]:
    return name.removesuffix("_null"), name.endswith("_null")


def _find(stem: str, name: str) -> tuple[Metric, dict[str, float]]:
    """The metric of a stem, and the option that a trailing number sets."""
    if stem == ACC.name:
        return ACC, {}
    if stem in METRICS:
        return METRICS[stem], {}
    base, _, number = stem.rpartition("_")
    metric = METRICS.get(base)
    if metric is None or metric.parameter is None:
        raise unknown_name("metric", name, known())
    try:
        return metric, {metric.parameter: float(number)}
    except ValueError:
        raise unknown_name("metric", name, known()) from None
