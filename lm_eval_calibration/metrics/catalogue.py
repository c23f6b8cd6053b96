"""`METRICS`: every metric by name. One more metric is one more entry.

Another package adds one by an entry point `lm_eval_calibration.metrics` that names a `Metric`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from lm_eval_calibration.members import Members
from lm_eval_calibration.metrics import (
    accuracy,
    binned,
    classwise,
    families,
    proper,
    selective,
    smooth,
)
from lm_eval_calibration.metrics.metric import Metric, guarded, what_is_wrong

_INF = float("inf")
OURS = (
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
)  # fmt: skip
METRICS: Members[Metric] = Members("lm_eval_calibration.metrics", OURS, what_is_wrong, guarded)
"""By name; those that other packages add are loaded when somebody asks for them."""

ACC = Metric(
    "acc", accuracy.acc, families.ACCURACY, True, "accuracy; its null is the mean confidence",
    ranks=True,
)  # fmt: skip
"""Accuracy beside the others. Not in `METRICS`: in a task's `metric_list` it is the harness's own."""


def known() -> Iterator[str]:
    """Names that `bind` answers to."""
    return chain([ACC.name], METRICS)


def every_metric() -> list[Metric]:
    """`acc`, ours and all of other packages that can be loaded."""
    return [ACC, *METRICS.usable()]


def all_names() -> list[str]:
    """Of `every_metric`, those that carry a number with the usual one."""
    return [m.name if m.default is None else f"{m.name}_{m.default}" for m in every_metric()]


DEFAULT_METRICS = ("nll", "brier", "ece", "ece_null", "ace", "mce", "auroc", "aurc")
"""What a twin reports unless its `metric_list` names others."""
SUMMARY_METRICS = ("acc", "nll", "brier", "ece", "auroc")
"""What tables show where none are asked for."""
ARROWS = {True: "↑", False: "↓", None: ""}
"""Which way is better."""
