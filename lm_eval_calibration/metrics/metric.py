"""What a metric is: a row of `METRICS`, ours or another package's."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from lm_eval_calibration.members import Guarded, wrong_name
from lm_eval_calibration.metrics.families import Family


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
        default: its value in `all_names`.
        biased_upwards: whether noise adds to it, as to all that measure a distance: an estimate
            lies above the truth, and a replicate as far above the estimate.
        calibration_error: whether it is 0 for a perfectly calibrated model, and above else.
        null: columns, `replicates` and the options in, null draws out: where its family has none.
        ranks: whether it sees the order of confidences alone, which may then be scores of any size.
        no_interval: why a few documents do not tell where all documents' value is, if so.
        by_errors: whether else it has no spread where all answers are right, or all wrong.
    """

    name: str
    function: Callable[..., Any]
    family: Family
    higher_is_better: bool | None
    meaning: str
    bounds: tuple[float, float] = (0.0, 1.0)
    parameter: str | None = None
    default: float | None = None
    biased_upwards: bool = False
    calibration_error: bool = False
    null: Callable[..., Any] | None = None
    ranks: bool = False
    by_errors: bool = False
    no_interval: str = ""

    @property
    def smoothed(self) -> bool:
        """Whether its replicates are drawn with an imagined document, see `resampled.labelled_smoothed`."""
        return self.ranks or self.by_errors

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the keyword options that a user may set."""
        keywords = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in keywords if p.kind is p.KEYWORD_ONLY and p.name != "weight")


def what_is_wrong(found: Any) -> str:
    """Why an object is no metric; "" if it is one."""
    if not isinstance(found, Metric):
        return f"a metric is a `Metric` of lm_eval_calibration.metrics, got {type(found).__name__}"
    if found.name == "acc" or found.name.endswith(("_null", "_norm", "_bytes", "_macro")):
        return f"`{found.name}` is what the harness or a suffix says"
    if "weight" not in inspect.signature(found.function).parameters:
        return "its function must take `weight`"
    return wrong_name(found.name)


def guarded(metric: Metric, about: str) -> Metric:
    """A metric of another package, whose functions fail with errors that name it."""
    null = metric.null and Guarded(metric.null, about, "draw its null")
    return replace(metric, function=Guarded(metric.function, about, "score"), null=null)
