"""Weights of documents are repetitions, to every calibrator."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_calibration import Predictions, fit
from lm_eval_calibration.calibrators import METHODS
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.sklearn import Recalibrator

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(scale=2, size=(200, 3))
GOLD = np.array([RNG.choice(3, p=np.exp(row) / np.exp(row).sum()) for row in 0.5 * LOGITS])
OPTIONS = Predictions.from_options(LOGITS, GOLD.tolist())
PAIRS = Predictions.from_confidences(OPTIONS.confidence, OPTIONS.correct)
TIMES = RNG.integers(0, 4, size=200)


def repeated(p: Predictions) -> Predictions:
    return p.take(np.repeat(np.arange(len(p)), TIMES))


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("predictions", [OPTIONS, PAIRS], ids=["options", "confidences"])
def test_whole_weights_are_repetitions(method: str, predictions: Predictions) -> None:
    if predictions is PAIRS and method in ("vector", "prior"):
        pytest.skip("needs options")
    one = fit(method, predictions, sample_weight=TIMES).transform(OPTIONS_OR[id(predictions)])
    other = fit(method, repeated(predictions)).transform(OPTIONS_OR[id(predictions)])
    assert np.allclose(one.confidence, other.confidence, atol=2e-4)


OPTIONS_OR = {id(OPTIONS): OPTIONS, id(PAIRS): PAIRS}


@pytest.mark.parametrize("method", sorted(METHODS))
def test_weights_of_one_change_nothing(method: str) -> None:
    one = fit(method, OPTIONS, sample_weight=np.ones(200)).transform(OPTIONS)
    assert np.allclose(
        one.confidence, fit(method, OPTIONS).transform(OPTIONS).confidence, atol=1e-5
    )


def test_in_scikit_learn() -> None:
    p = OPTIONS.probabilities
    assert p is not None
    one = Recalibrator().fit(p, GOLD, sample_weight=TIMES).predict_proba(p)
    rows = np.repeat(np.arange(200), TIMES)
    assert np.allclose(one, Recalibrator().fit(p[rows], GOLD[rows]).predict_proba(p), atol=1e-4)


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="one number for each of the 200 documents"):
        fit("platt", OPTIONS, sample_weight=[1, 2])
    with pytest.raises(InvalidInputError, match="`sample_weight` must be left out but for one"):
        fit("platt", {"a": OPTIONS, "b": OPTIONS}, sample_weight=TIMES)
