"""Calibration metrics: arrays in, number out.

`METRICS` lists them all; `evaluate` runs several on `Predictions`, with error bars.
"""

from lm_eval_calibration.metrics.accuracy import acc
from lm_eval_calibration.metrics.binned import (
    ace,
    debiased_ece,
    ece,
    mce,
    rmsce,
    tl_ece,
)
from lm_eval_calibration.metrics.catalogue import DEFAULT_METRICS, METRICS, all_names
from lm_eval_calibration.metrics.classwise import classwise_ece
from lm_eval_calibration.metrics.evaluate import Estimate, NullBand, applicable, evaluate
from lm_eval_calibration.metrics.metric import Metric
from lm_eval_calibration.metrics.paired import Difference, McNemar, compare, holm, mcnemar
from lm_eval_calibration.metrics.proper import (
    brier_reliability,
    brier_resolution,
    brier_uncertainty,
    brier_values,
    nll_values,
)
from lm_eval_calibration.metrics.selective import (
    acc_at_coverage,
    aurc,
    auroc,
    coverage_at_acc,
    eaurc,
    prr,
)
from lm_eval_calibration.metrics.smooth import smece
from lm_eval_calibration.metrics.table import BoundMetric, bind

__all__ = [
    "DEFAULT_METRICS",
    "METRICS",
    "BoundMetric",
    "Difference",
    "Estimate",
    "McNemar",
    "Metric",
    "NullBand",
    "acc",
    "acc_at_coverage",
    "ace",
    "all_names",
    "applicable",
    "aurc",
    "auroc",
    "bind",
    "brier_reliability",
    "brier_resolution",
    "brier_uncertainty",
    "brier_values",
    "classwise_ece",
    "compare",
    "coverage_at_acc",
    "debiased_ece",
    "eaurc",
    "ece",
    "evaluate",
    "holm",
    "mce",
    "mcnemar",
    "nll_values",
    "prr",
    "rmsce",
    "smece",
    "tl_ece",
]
