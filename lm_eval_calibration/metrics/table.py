"""`METRICS`: every metric by name, and the reading of names such as `ece_null_norm`.

A name in a task's `metric_list` is `<metric>[_null][_norm]`, or `acc_at_coverage_0.8`:

- `_null`: what a perfectly calibrated model with the same beliefs would score;
- `_norm`: on length-normalised probabilities, as the harness's `acc_norm` is to `acc`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError, unknown_name
from lm_eval_calibration.metrics import (
    accuracy,
    binned,
    classwise,
    families,
    intervals,
    proper,
    selective,
    smooth,
)
from lm_eval_calibration.metrics.families import Columns, Documents, Family
from lm_eval_calibration.metrics.intervals import Spread
from lm_eval_calibration.metrics.resampling import REPLICATES
from lm_eval_calibration.predictions import Predictions


@dataclass(frozen=True)
class Metric:
    """One row of `METRICS`.

    Attributes:
        name: as users write it; a trailing `_<number>` is the value of the option `parameter`.
        function: columns and keyword options in, number out; takes `weight`.
        family: what it reads and how its error bar is made.
        higher_is_better: the direction; `None` where neither end is good.
        meaning: one line for tables and help.
        bounds: smallest and largest possible value.
        parameter: the option that a parametrised name carries, e.g. `coverage`.
        default: its value in `ALL_METRICS`.
        null: columns, `replicates` and the options in, null draws out: where its family has none.
    """

    name: str
    function: Callable[..., Any]
    family: Family
    higher_is_better: bool | None
    meaning: str
    bounds: tuple[float, float] = (0.0, 1.0)
    parameter: str | None = None
    default: float | None = None
    null: Callable[..., Any] | None = None

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the keyword options that a user may set."""
        keywords = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in keywords if p.kind is p.KEYWORD_ONLY and p.name != "weight")


_INF = float("inf")
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "nll", proper.mean, families.NLL, False,
            "negative log-likelihood of the gold option, nats", (0.0, _INF),
        ),
        Metric(
            "brier", proper.mean, families.BRIER, False,
            "Brier score, summed over the options", (0.0, 2.0),
        ),
        Metric(
            "ece", binned.ece, families.PAIRS, False,
            "expected calibration error, equal-width bins",
        ),
        Metric(
            "ace", binned.ace, families.PAIRS, False,
            "adaptive calibration error, equal-mass bins",
        ),
        Metric(
            "mce", binned.mce, families.PAIRS, False,
            "maximum calibration error over bins",
        ),
        Metric(
            "auroc", selective.auroc, families.PAIRS, True,
            "chance that a right answer is more confident than a wrong one",
        ),
        Metric(
            "aurc", selective.aurc, families.PAIRS, False,
            "area under the risk-coverage curve",
        ),
        Metric(
            "rmsce", binned.rmsce, families.PAIRS, False,
            "root mean square calibration error",
        ),
        Metric(
            "debiased_ece", binned.debiased_ece, families.PAIRS, False,
            "root mean square calibration error less its sampling noise",
        ),
        Metric(
            "smece", smooth.smece, families.PAIRS, False,
            "smooth calibration error, no bins",
        ),
        Metric(
            "tl_ece", binned.tl_ece, families.TOP_LABEL, False,
            "ECE inside each predicted class",
        ),
        Metric(
            "classwise_ece", classwise.classwise_ece, families.OPTIONS, False,
            "ECE of each option's probability, averaged over options",
            null=classwise.classwise_null,
        ),
        Metric(
            "eaurc", selective.eaurc, families.PAIRS, False,
            "AURC in excess of a perfect ranking's",
        ),
        Metric(
            "acc_at_coverage", selective.acc_at_coverage, families.PAIRS, True,
            "accuracy on the most confident fraction", parameter="coverage", default=0.8,
        ),
        Metric(
            "coverage_at_acc", selective.coverage_at_acc, families.PAIRS, True,
            "largest fraction answered at an accuracy", parameter="acc", default=0.9,
        ),
        Metric(
            "brier_reliability", proper.brier_reliability, families.PAIRS, False,
            "miscalibration part of the confidence's Brier score",
        ),
        Metric(
            "brier_resolution", proper.brier_resolution, families.PAIRS, True,
            "discrimination part of the confidence's Brier score", (0.0, 0.25),
        ),
        Metric(
            "brier_uncertainty", proper.brier_uncertainty, families.PAIRS, None,
            "accuracy (1 - accuracy)", (0.0, 0.25),
        ),
    )
}  # fmt: skip

ACC = Metric(
    "acc", accuracy.acc, families.ACCURACY, True, "accuracy; its null is the mean confidence"
)
"""Accuracy beside the others. Not in `METRICS`: in a task's `metric_list` it is the harness's own."""

_KNOWN = {ACC.name: ACC, **METRICS}
ALL_METRICS = tuple(
    m.name if m.default is None else f"{m.name}_{m.default}" for m in _KNOWN.values()
)
"""`acc` and every metric, those that carry a number with the usual one."""

DEFAULT_METRICS = ("nll", "brier", "ece", "ece_null", "ace", "mce", "auroc", "aurc")
"""What a twin reports unless its `metric_list` names others."""


@dataclass(frozen=True)
class BoundMetric:
    """A metric as somebody asked for it: a full name, options bound, `_null` and `_norm` read."""

    name: str
    metric: Metric
    options: Mapping[str, Any] = field(default_factory=dict)
    null: bool = False
    normalised: bool = False

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

    def stderr(self, columns: Columns, replicates: int = REPLICATES) -> float:
        """Its standard error over documents (for a null: the deviation of its draws)."""
        documents = Documents(self.metric.family, columns, replicates)
        return self.spread(documents, float("nan")).stderr

    def null_draws(self, columns: Columns, replicates: int) -> Any:
        """(replicates,) scores of a perfectly calibrated model with these beliefs, or `None`."""
        return self.draw_null(Documents(self.metric.family, columns, replicates))

    def spread(self, documents: Documents, value: float) -> Spread:
        """Standard error and 95 % interval of its `value` (for a null: of its draws)."""
        if self.null:
            return intervals.band(self.draw_null(documents))
        closed_form = documents.family.closed_form
        if closed_form is not None:
            spread = closed_form(documents.columns, value)
        else:
            resampled = documents.bootstrap
            draws, centre = resampled.draws(self.score), resampled.centre(self.score)
            spread = intervals.bootstrap_spread(value, draws, centre)
        return spread.within(self.metric.bounds, value)

    def draw_null(self, documents: Documents) -> Any:
        """`null_draws` of documents whose resampling is shared with other metrics."""
        if self.metric.null is not None:
            return self.metric.null(
                *documents.columns, replicates=documents.replicates, **self.options
            )
        return documents.null and documents.null(self.score)

    def arguments(self, columns: Columns) -> Columns:
        """The columns that the function takes (a mean also carries its null moments)."""
        return columns[:1] if self.metric.function is proper.mean else columns


def bind(name: str, options: Mapping[str, Any] | None = None) -> BoundMetric:
    """Read a metric's full name and bind its options.

    Args:
        name: `<metric>[_null][_norm]`; parametrised metrics carry a number, as in
            `acc_at_coverage_0.8`, or take it as an option.
        options: keyword options of the metric's function, e.g. `{"num_bins": 10}`.

    Raises:
        UnknownNameError: no such metric or option; near names are suggested.
        InvalidInputError: a missing or impossible option value, or a null that cannot be had.

    >>> bind("ece_null_norm", {"num_bins": 10}).metric.name
    'ece'
    """
    stem, normalised = _strip(name, "_norm")
    stem, null = _strip(stem, "_null")
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
    if null and metric.function is proper.mean:
        raise InvalidInputError(
            f"`{name}` cannot be had from logged values; "
            "`lm_eval_calibration.evaluate` reports the null of every metric."
        )
    bound = BoundMetric(name, metric, given, null, normalised)
    bound.score(*metric.family.from_rows(metric.family.example))  # a bad option value fails here
    return bound


def is_metric(name: object) -> bool:
    """Whether `name` names one of our metrics (with or without suffixes), and not upstream's."""
    if not isinstance(name, str):
        return False
    try:
        metric, _ = _find(_strip(_strip(name, "_norm")[0], "_null")[0], name)
    except InvalidInputError:
        return False
    return metric.name in METRICS


def _strip(name: str, suffix: str) -> tuple[str, bool]:
    return (name.removesuffix(suffix), True) if name.endswith(suffix) else (name, False)


def _find(stem: str, name: str) -> tuple[Metric, dict[str, float]]:
    """The metric of a stem, and the option that a trailing number sets."""
    if stem in _KNOWN:
        return _KNOWN[stem], {}
    base, _, number = stem.rpartition("_")
    metric = METRICS.get(base)
    if metric is None or metric.parameter is None:
        raise unknown_name("metric", name, _KNOWN)
    try:
        return metric, {metric.parameter: float(number)}
    except ValueError:
        raise unknown_name("metric", name, _KNOWN) from None
