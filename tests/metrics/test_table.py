"""`METRICS` and the reading of metric names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration import metrics
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.metrics import (
    DEFAULT_METRICS,
    METRICS,
    BoundMetric,
    Metric,
    all_names,
    bind,
)
from lm_eval_calibration.metrics.table import is_metric
from lm_eval_calibration.predictions import Predictions

PREDICTIONS = Predictions.from_options(np.random.default_rng(0).normal(0, 1, (50, 3)), [0, 1] * 25)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_every_entry_is_complete(metric: Metric) -> None:
    assert METRICS[metric.name] is metric
    assert metric.name.isidentifier()
    assert metric.name == metric.name.lower()
    assert not metric.name.endswith(("_null", "_norm"))
    assert metric.meaning
    assert "\n" not in metric.meaning
    assert not metric.meaning.endswith(".")
    assert metric.bounds[0] < metric.bounds[1]
    assert metric.higher_is_better in (True, False, None)
    assert metric.function.__doc__
    assert "weight" not in metric.options
    assert metric.parameter is None or metric.parameter in metric.options


def test_every_metric_can_be_imported() -> None:
    own = {name for name, m in METRICS.items() if m.function.__name__ == name}
    assert own <= set(metrics.__all__)
    assert set(METRICS) - own == {"nll", "brier"}  # means of nll_values and brier_values
    assert {"nll_values", "brier_values"} <= set(metrics.__all__)


def test_options_are_those_of_the_function() -> None:
    binned = {"ece", "ace", "mce", "rmsce", "debiased_ece", "tl_ece", "classwise_ece"}
    assert {name for name, m in METRICS.items() if m.options == ("num_bins",)} == binned
    assert METRICS["acc_at_coverage"].options == ("coverage",)
    assert METRICS["coverage_at_acc"].options == ("acc",)
    assert METRICS["auroc"].options == ()


def test_defaults_can_be_bound() -> None:
    assert [bind(name).name for name in DEFAULT_METRICS] == list(DEFAULT_METRICS)


@pytest.mark.parametrize(
    ("name", "metric", "null", "normalisation", "options"),
    [
        ("ece", "ece", False, "", {}),
        ("ece_null", "ece", True, "", {}),
        ("ece_norm", "ece", False, "_norm", {}),
        ("ece_null_norm", "ece", True, "_norm", {}),
        ("ece_bytes", "ece", False, "_bytes", {}),
        ("ece_null_bytes", "ece", True, "_bytes", {}),
        ("acc_at_coverage_0.8", "acc_at_coverage", False, "", {"coverage": 0.8}),
        ("acc_at_coverage_1", "acc_at_coverage", False, "", {"coverage": 1.0}),
        ("coverage_at_acc_.95_null_norm", "coverage_at_acc", True, "_norm", {"acc": 0.95}),
        ("nll_norm", "nll", False, "_norm", {}),
    ],
)
def test_names(
    name: str, metric: str, null: bool, normalisation: str, options: dict[str, float]
) -> None:
    bound = bind(name)
    assert bound == BoundMetric(name, METRICS[metric], options, null, normalisation)
    assert is_metric(name)


def test_a_parameter_may_come_as_an_option() -> None:
    as_option = bind("acc_at_coverage", {"coverage": 0.8})
    columns = as_option.metric.family.read(PREDICTIONS)
    assert as_option.value(columns) == bind("acc_at_coverage_0.8").value(columns)


def test_options_reach_the_function() -> None:
    columns = np.array([0.9, 0.1]), np.array([0, 1])  # two gaps of .9 that cancel in one bin
    assert bind("ece").value(columns) == pytest.approx(0.9)
    assert bind("ece", {"num_bins": 1}).value(columns) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ecee", r"Unknown metric `ecee`\. Did you mean `ece`"),
        ("smce", r"Did you mean .*`smece`"),
        ("acc_at_covrage_0.8", r"Unknown metric `acc_at_covrage_0\.8`\. Did you mean `acc_at_cov"),
        ("acc_10", r"Unknown metric `acc_10`\."),
        ("brier_score", r"Unknown metric `brier_score`\."),
        ("ece_norm_null", r"Unknown metric `ece_norm_null`\."),
        ("ece_10", r"Unknown metric `ece_10`\."),
        ("acc_at_coverage_high", r"Unknown metric `acc_at_coverage_high`\."),
        ("acc_at_coverage_", r"Unknown metric `acc_at_coverage_`\."),
        ("_null", r"Unknown metric `_null`\."),
        ("", r"Unknown metric ``\."),
    ],
)
def test_unknown_names_are_answered_with_near_ones_and_the_list(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message) as caught:
        bind(name)
    assert "Known: " + ", ".join(sorted([*METRICS, "acc"])) in str(caught.value)
    assert not is_metric(name)


@pytest.mark.parametrize("name", ["acc", "acc_norm", "acc_null"])
def test_acc_can_be_had_but_in_a_task_it_is_the_harness_s(name: str) -> None:
    assert bind(name).metric.name == "acc"
    assert "acc" not in METRICS
    assert not is_metric(name)


def test_all_metrics_are_acc_and_every_metric_once() -> None:
    assert all_names()[0] == "acc"
    assert [bind(name).metric.name for name in all_names()[1:]] == list(METRICS)
    assert {"acc_at_coverage_0.8", "coverage_at_acc_0.9"} <= set(all_names())


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_a_parameter_has_a_default(metric: Metric) -> None:
    assert (metric.parameter is None) == (metric.default is None)


@pytest.mark.parametrize("name", [None, 3, lambda items: items, ["ece"]])
def test_what_is_not_text_is_no_metric(name: object) -> None:
    assert not is_metric(name)


def test_unknown_options_are_answered_with_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"`n_bins`.* Did you mean `num_bins`\?"):
        bind("ece", {"n_bins": 10})
    with pytest.raises(UnknownNameError, match="`num_bins`"):
        bind("auroc", {"num_bins": 10})
    with pytest.raises(UnknownNameError, match="`weight`"):
        bind("ece", {"weight": [1.0, 1.0]})


@pytest.mark.parametrize("num_bins", [0, -1, 2.5, True, "10", None])
@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if "num_bins" in m.options])
def test_bad_numbers_of_bins_fail_when_bound(name: str, num_bins: Any) -> None:
    with pytest.raises(InvalidInputError, match="`num_bins` must be an integer from 1"):
        bind(name, {"num_bins": num_bins})


@pytest.mark.parametrize("value", [0.0, -0.5, 1.5, math.nan, "0.8"])
@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.parameter])
def test_bad_parameters_fail_when_bound(name: str, value: Any) -> None:
    parameter = METRICS[name].parameter
    with pytest.raises(InvalidInputError, match=rf"`{parameter}` must be a number in \(0, 1\]"):
        bind(name, {parameter: value})


@pytest.mark.parametrize("name", ["acc_at_coverage_0", "acc_at_coverage_1.5", "coverage_at_acc_80"])
def test_bad_parameters_in_the_name_fail_when_bound(name: str) -> None:
    with pytest.raises(InvalidInputError, match=r"must be a number in \(0, 1\]"):
        bind(name)


@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.parameter])
def test_a_missing_parameter_is_asked_for(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"needs a number: write `{name}_0.9`"):
        bind(name)


@pytest.mark.parametrize("name", ["nll_null", "brier_null", "nll_null_norm"])
def test_the_null_of_a_mean_cannot_be_had_from_logs(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"`{name}` cannot be had from logged values"):
        bind(name)


def test_a_null_is_no_score() -> None:
    assert bind("ece").higher_is_better is False
    assert bind("auroc").higher_is_better is True
    assert bind("auroc_null").higher_is_better is None


def test_value_and_stderr_of_a_null_are_those_of_its_draws() -> None:
    bound = bind("ece_null")
    columns = bound.metric.family.read(PREDICTIONS)
    draws = bind("ece").null_draws(columns, 1000)
    assert bound.value(columns) == draws.mean()
    assert bound.stderr(columns) == draws.std(ddof=1)


def test_a_number_in_the_name_and_in_the_option() -> None:
    with pytest.raises(InvalidInputError, match="carries its `coverage` already"):
        bind("acc_at_coverage_0.8", {"coverage": 0.5})


def test_null_of_a_metric_that_some_draws_leave_undefined() -> None:
    """Three sure answers are all right in most draws, and then have no AUROC."""
    bound = bind("auroc_null")
    columns = bound.columns([[0.9, 1], [0.8, 1], [0.7, 0]])
    assert 0.4 < bound.value(columns) < 1.0
    assert bound.stderr(columns) > 0
    never = bound.columns([[1.0, 1], [1.0, 1]])
    assert np.isnan(bound.value(never))
    assert np.isnan(bound.stderr(never))
