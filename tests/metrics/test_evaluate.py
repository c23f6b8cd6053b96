"""`evaluate`: values, standard errors and null bands together."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.metrics import METRICS, bind, evaluate
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
        assert math.isnan(estimate.stderr)
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
    assert found["ece"].stderr == 0.0
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
