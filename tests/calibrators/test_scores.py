"""Maps of scores that are no probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.evaluate import applicable, evaluate
from lm_eval_calibration.predictions import Predictions

MAPS = ("platt", "isotonic", "beta", "histogram")
RNG = np.random.default_rng(0)
SCORES = RNG.normal(20, 8, size=300)
RIGHT = RNG.random(300) < 1 / (1 + np.exp(-(SCORES - 18) / 6))
GIVEN = Predictions.from_scores(SCORES, RIGHT)


@pytest.mark.parametrize("method", MAPS)
def test_scores_become_probabilities_and_stay_so_on_disk(method: str, tmp_path: Path) -> None:
    fitted = fit(method, GIVEN)
    mapped = fitted.transform(GIVEN)
    assert not mapped.are_scores and ((mapped.confidence >= 0) & (mapped.confidence <= 1)).all()
    np.testing.assert_array_equal(mapped.correct, RIGHT)
    assert evaluate(mapped, ["ece"], replicates=0)["ece"].value < 0.1
    fitted.save_pretrained(tmp_path / "map")
    again = Calibrator.from_pretrained(tmp_path / "map").transform(GIVEN)
    np.testing.assert_array_equal(again.confidence, mapped.confidence)


@given(st.floats(0.01, 1000), st.floats(-1e4, 1e4))
@settings(max_examples=8, deadline=None)
def test_platt_and_isotonic_do_not_see_scale_or_offset(factor: float, offset: float) -> None:
    other = Predictions.from_scores(SCORES * factor + offset, RIGHT)
    for method in ("platt", "isotonic"):
        one, two = (fit(method, p).transform(p).confidence for p in (GIVEN, other))
        np.testing.assert_allclose(one, two, atol=1e-4)


def _reference_sklearn_platt() -> np.ndarray:
    """Logistic regression with Platt's targets, as weights of both labels."""
    right = int(RIGHT.sum())
    high, low = (right + 1) / (right + 2), 1 / (300 - right + 2)
    target = np.where(RIGHT, high, low)
    x = np.concatenate([SCORES, SCORES])[:, None]
    model = LogisticRegression(C=1e12, tol=1e-10, max_iter=1000)
    model.fit(x, np.repeat([1, 0], 300), np.concatenate([target, 1 - target]))
    return np.asarray(model.predict_proba(SCORES[:, None])[:, 1])


def test_platt_is_platt_scaling_of_the_scores() -> None:
    found = fit("platt", GIVEN).transform(GIVEN).confidence
    np.testing.assert_allclose(found, _reference_sklearn_platt(), atol=1e-3)


def test_equal_scores_are_no_trouble() -> None:
    same = Predictions.from_scores([3.0] * 4, [1, 1, 0, 1])
    assert fit("isotonic", same).transform(same).confidence == pytest.approx([0.75] * 4)


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_what_divides_log_probabilities_is_refused(method: str) -> None:
    with pytest.raises(
        InvalidInputError, match=f"`{method}` needs probabilities, and these are scores"
    ):
        fit(method, GIVEN)


def test_maps_of_scores_and_of_probabilities_are_not_mixed_up() -> None:
    stated = Predictions.from_confidences(np.linspace(0, 1, 300), RIGHT)
    for fitted_on, given_ in ((GIVEN, stated), (stated, GIVEN)):
        with pytest.raises(
            InvalidInputError, match=r"This calibrator was fitted on .*, and these are"
        ):
            fit("platt", fitted_on).transform(given_)
    with pytest.raises(InvalidInputError, match="all scores, or all probabilities"):
        Predictions.concatenate([GIVEN, stated])


def test_a_file_that_lies() -> None:
    found = fit("platt", GIVEN)
    tensors = dict(found.tensors())
    tensors[":score_scale"] = np.array(-1.0)
    with pytest.raises(InvalidInputError, match="score_scale"):
        Calibrator.restore({"method": "platt"}, tensors, found.training)


def test_scores_are_ranked_and_nothing_more() -> None:
    """Every metric that they have is that of confidences in the same order; none has a null band."""
    order = np.unique(SCORES, return_inverse=True)[1] / 1000
    names = applicable(GIVEN)
    kept = ["acc_at_coverage_0.8", "coverage_at_acc_0.9"]
    assert names == ["acc", "auroc", "aurc", "eaurc", "prr", *kept]
    assert applicable(GIVEN, ["auroc_null", "ece", "nll"]) == []
    ranked = evaluate(Predictions.from_confidences(order, RIGHT), names, replicates=50)
    for name, found in evaluate(GIVEN, names, replicates=50).items():
        assert (found.value, found.low, found.high) == (
            ranked[name].value,
            ranked[name].low,
            ranked[name].high,
        )
        assert found.null is None
    assert GIVEN.take(np.array([3])).are_scores


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_are_finite(bad: float) -> None:
    with pytest.raises(InvalidInputError, match="`scores` must be finite"):
        Predictions.from_scores([1.0, bad], [1, 0])
