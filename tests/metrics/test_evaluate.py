"""`evaluate`: values, standard errors and null bands together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from lm_eval.api import metrics as harness

from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.metrics import METRICS, all_names, applicable, bind, evaluate, resampling
from lm_eval_calibration.predictions import Predictions

NAMES = [f"{name}_0.7" if metric.parameter else name for name, metric in METRICS.items()]


def _predictions(n: int = 300) -> Predictions:
    rng = np.random.default_rng(n)
    logits = [rng.normal(0, 2, rng.integers(2, 6)) for _ in range(n)]
    return Predictions.from_options(logits, [int(rng.integers(0, len(row))) for row in logits])


def test_defaults() -> None:
    names = ["nll", "brier", "ece", "ace", "mce", "auroc", "aurc"]
    assert list(evaluate(_predictions(50), replicates=20)) == names


@pytest.mark.parametrize("name", NAMES)
def test_an_estimate_is_value_error_bar_and_band(name: str) -> None:
    p = _predictions()
    estimate = evaluate(p, [name], replicates=100)[name]
    bound = bind(name)
    columns = bound.metric.family.read(p)
    assert estimate.name == name
    assert estimate.value == bound.value(columns)
    assert estimate.stderr == bound.stderr(columns, 100) > 0
    assert estimate.null is not None
    assert estimate.null.low < estimate.null.mean < estimate.null.high


def test_the_band_holds_95_of_100_draws() -> None:
    p = _predictions()
    band = evaluate(p, ["ece"])["ece"].null
    draws = bind("ece").null_draws((p.confidence, p.correct), 1000)
    assert band is not None
    assert np.mean((band.low <= draws) & (draws <= band.high)) == pytest.approx(0.95, abs=0.002)
    assert np.mean(draws < band.low) == pytest.approx(0.025, abs=0.002)


def test_values_alone() -> None:
    for estimate in evaluate(_predictions(50), NAMES, replicates=0).values():
        assert math.isfinite(estimate.value)
        assert math.isnan(estimate.stderr) and math.isnan(estimate.low + estimate.high)
        assert estimate.null is None


def test_the_same_every_time() -> None:
    assert evaluate(_predictions(80), replicates=50) == evaluate(_predictions(80), replicates=50)


def test_a_null_is_its_metric_s_band() -> None:
    found = evaluate(_predictions(), ["ece", "ece_null"])
    assert found["ece"].null is not None
    assert found["ece_null"].value == found["ece"].null.mean


def test_confidences_alone() -> None:
    p = Predictions.from_confidences([0.9, 0.6, 0.8], [1, 0, 1])
    assert evaluate(p, ["ece"], replicates=0)["ece"].value == pytest.approx(0.3)
    for name in ("nll", "brier", "tl_ece", "classwise_ece"):
        with pytest.raises(InvalidInputError, match="needs the probability of every option"):
            evaluate(p, [name])


def test_undefined_is_nan_without_an_error_bar() -> None:
    p = Predictions.from_confidences([0.9, 1.0], [1, 1])
    estimate = evaluate(p, ["auroc"], replicates=50)["auroc"]
    assert math.isnan(estimate.value)
    assert math.isnan(estimate.stderr)
    certain = Predictions.from_confidences([1.0, 1.0], [1, 1])
    assert evaluate(certain, ["auroc"], replicates=50)["auroc"].null is None


def test_no_band_for_means_over_documents_with_several_gold_options() -> None:
    p = Predictions.from_options([[0.0, 1.0, 2.0]] * 3, [[0, 1], 1, 2])
    found = evaluate(p, ["nll", "ece"], replicates=50)
    assert found["nll"].null is None
    assert found["ece"].null is not None


def test_one_document() -> None:
    p = Predictions.from_options([[1.0, 0.0]], [0])
    found = evaluate(p, NAMES, replicates=50)
    assert found["ece"].value == pytest.approx(1 - p.confidence[0])
    assert math.isnan(found["ece"].stderr)  # as the harness, which prints "N/A"
    assert math.isnan(found["nll"].stderr)


def test_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean `ece`"):
        evaluate(_predictions(5), ["eec"])


def test_arguments_that_make_no_sense() -> None:
    predictions = Predictions.from_confidences([0.5, 0.6], [1, 0])
    for replicates in (1, -1):
        with pytest.raises(InvalidInputError, match="`replicates` must be 0, or at least 2"):
            evaluate(predictions, replicates=replicates)
    with pytest.raises(InvalidInputError, match="without `_norm`"):
        evaluate(predictions, ["ece_norm"])
    assert evaluate(predictions, []) == {}


def test_null_of_a_mean_counts_the_documents_that_the_value_counts() -> None:
    """A document without a gold option has no NLL, so none in its null either."""
    counted = Predictions.from_options([[1.0, 2.0]] * 50, [0] * 50)
    more = Predictions.from_options([[1.0, 2.0]] * 50 + [[0.0, 9.0]], [0] * 50 + [-100])
    assert evaluate(more, ["nll"])["nll"].null == evaluate(counted, ["nll"])["nll"].null


@pytest.mark.parametrize("name", all_names())
@pytest.mark.parametrize("n", [2, 30, 300])
def test_the_interval_holds_the_value_within_the_bounds(name: str, n: int) -> None:
    e = evaluate(_predictions(n), [name], replicates=200)[name]
    low, high = bind(name).metric.bounds
    if bind(name).metric.no_interval:
        assert math.isnan(e.low) and math.isnan(e.high)
    elif not math.isnan(e.stderr):
        assert low <= e.low <= e.value <= e.high <= high


@pytest.mark.parametrize("name", ["nll", "brier"])
def test_a_loss_that_the_model_expects_is_not_ruled_out(name: str) -> None:
    """Twenty of twenty at .97: the next may be wrong, which costs more than these twenty vary."""
    p = Predictions.from_options([np.log([0.97, 0.01, 0.01, 0.01])] * 20, [0] * 20)
    e = evaluate(p, [name])[name]
    assert e.stderr == pytest.approx(0.0, abs=1e-9) and e.null is not None
    assert e.low == pytest.approx(e.value) and e.high > e.null.mean


@pytest.mark.parametrize("name", ["nll", "brier"])
def test_the_interval_of_a_mean_is_normal(name: str) -> None:
    e = evaluate(_predictions(), [name])[name]
    assert (e.low, e.high) == pytest.approx((e.value - 1.96 * e.stderr, e.value + 1.96 * e.stderr))


def test_the_interval_of_an_ece_near_calibration_is_below_its_replicates() -> None:
    """The plug-in value is biased upwards, and its replicates twice: the interval takes it off.

    Within its null band it may be all bias, and the interval begins at 0.
    """
    rng = np.random.default_rng(7)
    confidence = rng.beta(3, 1.5, 300)
    p = Predictions.from_confidences(confidence, rng.random(300) < confidence)
    e = evaluate(p, ["ece"])["ece"]
    assert e.null is not None and e.value < e.null.high
    assert e.low == 0.0
    assert e.high == pytest.approx(e.value + 1.96 * e.stderr)


def test_the_interval_of_a_null_is_its_band() -> None:
    e = evaluate(_predictions(), ["ece_null"])["ece_null"]
    assert e.null is not None
    assert (e.low, e.high) == (e.null.low, e.null.high)


@pytest.mark.parametrize("n", [2, 3, 10, 1172, 20_011])
def test_acc_is_the_harness_s_to_the_last_bit(n: int) -> None:
    p = (
        _predictions(n)
        if n < 2000
        else Predictions.from_confidences(
            np.full(n, 0.5), np.random.default_rng(n).random(n) < 0.37
        )
    )
    logged = [float(right) for right in p.correct]
    e = evaluate(p, ["acc"], replicates=2)["acc"]
    assert e.value == harness.mean(logged)
    assert e.stderr == harness.mean_stderr(logged)


def test_the_null_of_acc_is_the_mean_confidence() -> None:
    c = np.random.default_rng(0).beta(3, 1.5, 400)
    band = evaluate(Predictions.from_confidences(c, c > 0.5), ["acc"])["acc"].null
    scale = np.sqrt((c * (1 - c)).sum()) / 400
    assert band is not None
    assert band.mean == pytest.approx(c.mean(), abs=4 * scale / np.sqrt(1000))
    assert band.high - band.low == pytest.approx(2 * 1.96 * scale, rel=0.15)


def test_what_confidences_alone_allow() -> None:
    p = Predictions.from_confidences([0.9, 0.6, 0.8], [1, 0, 1])
    refused = {"nll", "brier", "tl_ece", "classwise_ece"}
    assert applicable(p, all_names()) == [n for n in all_names() if n not in refused]
    assert list(evaluate(p, applicable(p), replicates=20)) == applicable(p)
    assert applicable(_predictions(3)) == all_names()


def test_progress_names_every_metric_once_it_is_done() -> None:
    done: list[str] = []
    evaluate(_predictions(20), ["ece", "nll", "auroc"], replicates=10, progress=done.append)
    assert done == ["ece", "nll", "auroc"]


def test_metrics_of_a_family_share_their_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sort of all documents for the replicates, those of rankings, and the null draws, whatever is asked."""
    calls = []
    original = resampling.cells
    monkeypatch.setattr(resampling, "cells", lambda *a: calls.append(1) or original(*a))
    evaluate(_predictions(50), ["ece", "ace", "auroc", "smece"], replicates=10)
    assert len(calls) == 3


@pytest.mark.parametrize(
    "name", [n for n, m in METRICS.items() if m.calibration_error and not m.no_interval]
)
def test_a_calibration_error_is_0_for_a_calibrated_model(name: str) -> None:
    """Two options at .75 and .25, of which the first is gold 3 times in 4."""
    p = Predictions.from_options([np.log([0.75, 0.25])] * 8, [0, 0, 0, 1] * 2)
    e = evaluate(p, [name], replicates=50)[name]
    assert e.value == pytest.approx(0.0, abs=1e-9)
    assert e.low == 0.0


@pytest.mark.exhaustive
def test_a_calibration_error_beyond_its_null_band_is_not_0() -> None:
    rng = np.random.default_rng(7)
    confidence = rng.beta(3, 1.5, 5000)
    p = Predictions.from_confidences(confidence, rng.random(5000) < confidence**3)
    names = [n for n, m in METRICS.items() if m.calibration_error and not m.no_interval]
    for name in applicable(p, names):
        assert evaluate(p, [name])[name].low > 0.0


def test_what_can_be_had_of_confidences_alone() -> None:
    """Without names those that need no options; one that is named and cannot be had is an error."""
    p = Predictions.from_confidences([0.9, 0.6, 0.7], [1, 0, 1])
    assert list(evaluate(p, replicates=0)) == ["ece", "ace", "mce", "auroc", "aurc"]
    with pytest.raises(InvalidInputError, match="option"):
        evaluate(p, ["nll"])
