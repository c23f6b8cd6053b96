"""`METRICS`: every metric by name. One more metric is one more entry."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.metrics import (
    accuracy,
    binned,
    classwise,
    families,
    proper,
    selective,
    smooth,
)
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
        default: its value in `ALL_METRICS`.
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
            biased_upwards=True, calibration_error=True,
        ),
        Metric(
            "ace", binned.ace, families.PAIRS, False,
            "adaptive calibration error, equal-mass bins",
            biased_upwards=True, calibration_error=True,
        ),
        Metric(
            "mce", binned.mce, families.PAIRS, False,
            "maximum calibration error over bins",
            biased_upwards=True, calibration_error=True,
            no_interval="it hangs on the bin that fewest documents fall into",
        ),
        Metric(
            "auroc", selective.auroc, families.PAIRS, True,
            "chance that a right answer is more confident than a wrong one", ranks=True,
        ),
        Metric(
            "aurc", selective.aurc, families.PAIRS, False,
            "area under the risk-coverage curve", ranks=True,
        ),
        Metric(
            "rmsce", binned.rmsce, families.PAIRS, False,
            "root mean square calibration error",
            biased_upwards=True, calibration_error=True,
        ),
        Metric(
            "debiased_ece", binned.debiased_ece, families.PAIRS, False,
            "root mean square calibration error less its sampling noise",
            calibration_error=True,
        ),
        Metric(
            "smece", smooth.smece, families.PAIRS, False,
            "smooth calibration error, no bins", calibration_error=True,
        ),
        Metric(
            "tl_ece", binned.tl_ece, families.TOP_LABEL, False,
            "ECE inside each predicted class",
            biased_upwards=True, calibration_error=True,
        ),
        Metric(
            "classwise_ece", classwise.classwise_ece, families.OPTIONS, False,
            "ECE of each option's probability, averaged over options",
            biased_upwards=True, calibration_error=True,
            null=classwise.classwise_null,
        ),
        Metric(
            "eaurc", selective.eaurc, families.PAIRS, False,
            "AURC in excess of a perfect ranking's", ranks=True,
        ),
        Metric(
            "prr", selective.prr, families.PAIRS, True,
            "share of a perfect ranking's gain in accuracy when unsure answers are left out",
            (-_INF, 1.0), ranks=True,
        ),
        Metric(
            "acc_at_coverage", selective.acc_at_coverage, families.PAIRS, True,
            "accuracy on the most confident fraction", parameter="coverage", default=0.8,
            ranks=True,
        ),
        Metric(
            "coverage_at_acc", selective.coverage_at_acc, families.PAIRS, True,
            "largest fraction answered at an accuracy", parameter="acc", default=0.9,
            ranks=True,
        ),
        Metric(
            "brier_reliability", proper.brier_reliability, families.PAIRS, False,
            "miscalibration part of the confidence's Brier score",
            biased_upwards=True, calibration_error=True,
        ),
        Metric(
            "brier_resolution", proper.brier_resolution, families.PAIRS, True,
            "discrimination part of the confidence's Brier score", (0.0, 0.25),
            biased_upwards=True, by_errors=True,
        ),
        Metric(
            "brier_uncertainty", proper.brier_uncertainty, families.PAIRS, None,
            "accuracy (1 - accuracy)", (0.0, 0.25), by_errors=True,
        ),
    )
}  # fmt: skip

ACC = Metric(
    "acc", accuracy.acc, families.ACCURACY, True, "accuracy; its null is the mean confidence",
    ranks=True,
)  # fmt: skip
"""Accuracy beside the others. Not in `METRICS`: in a task's `metric_list` it is the harness's own."""

KNOWN = {ACC.name: ACC, **METRICS}
"""What `bind` answers to."""

ALL_METRICS = tuple(
    m.name if m.default is None else f"{m.name}_{m.default}" for m in KNOWN.values()
)
"""`acc` and every metric, those that carry a number with the usual one."""

DEFAULT_METRICS = ("nll", "brier", "ece", "ece_null", "ace", "mce", "auroc", "aurc")
"""What a twin reports unless its `metric_list` names others."""
SUMMARY_METRICS = ("acc", "nll", "brier", "ece", "auroc")
"""What tables show where none are asked for."""
ARROWS = {True: "↑", False: "↓", None: ""}
"""Which way is better."""
