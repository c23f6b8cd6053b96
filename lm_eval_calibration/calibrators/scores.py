"""Recalibrators of scores that are no probabilities: what `platt`, `isotonic` and their like make of them.

A score is standardised and brought onto (0, 1) by the logistic function, which keeps its order, and from
there mapped as a probability is. Platt's log-odds are then the score itself, up to scale and offset, as in
Platt, 1999; isotonic regression sees the order alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import expit

from lm_eval_calibration.calibrators.contract import Method, Parameters, numbers
from lm_eval_calibration.calibrators.validity import bounded
from lm_eval_calibration.envelope import NO_SCORE
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.predictions import Floats, Predictions

LOCATION, SCALE = "score_location", "score_scale"
"""Parameters beside the method's own: mean and standard deviation of the scores that were fitted on."""


def of_scores(parameters: Parameters) -> bool:
    """Whether parameters map scores."""
    return LOCATION in parameters


def fit(method: Method, predictions: Predictions) -> Parameters:
    """The method's parameters, and those of the standard scores.

    Raises:
        InvalidInputError: it maps options, and these are scores of answers.
    """
    if method.fit_pairs is None:
        raise InvalidInputError(
            f"`{method.name}` needs probabilities, and these are scores. `platt`, `isotonic`, `beta` and "
            "`histogram` make probabilities of scores."
        )
    predictions = _answered(predictions)
    scores = predictions.confidence
    placed = {LOCATION: np.array(scores.mean()), SCALE: np.array(scores.std() or 1.0)}
    found = method.fit_pairs(_unit(scores, placed), predictions.correct.astype(bool))
    return {**found, **placed}


def _answered(predictions: Predictions) -> Predictions:
    """Without answers that are none, whose score is a mark, unless there are no others."""
    rows = np.flatnonzero(predictions.confidence != NO_SCORE)
    return predictions.take(rows) if 0 < len(rows) < len(predictions) else predictions


def transform(method: Method, parameters: Parameters, predictions: Predictions) -> Predictions:
    """The predictions with probabilities in the place of scores, or of other probabilities.

    Raises:
        InvalidInputError: the parameters are of scores, and these none, or the other way round.
    """
    fitted, given = of_scores(parameters), predictions.are_scores
    if fitted != given:
        was, here = ("scores", "probabilities") if fitted else ("probabilities", "scores")
        raise InvalidInputError(
            f"This calibrator was fitted on {was}, and these are {here}. Fit one on {here}."
        )
    own = own_parameters(parameters)
    assert method.apply_pairs is not None
    scores = _unit(predictions.confidence, parameters)
    mapped = numbers(method, np.asarray(method.apply_pairs(scores, own)), scores.shape)
    ranked = Predictions.from_confidences(mapped, predictions.correct)
    return replace(ranked, correct=predictions.correct)


def check(parameters: Parameters) -> None:
    """Refuse standard scores that `fit` cannot have found."""
    if not parameters.keys().isdisjoint((LOCATION, SCALE)):
        bounded(parameters, LOCATION)
        bounded(parameters, SCALE, low=np.finfo(np.float64).tiny)


def own_parameters(parameters: Parameters) -> Parameters:
    """Those of the method alone."""
    return {name: value for name, value in parameters.items() if name not in (LOCATION, SCALE)}


def _unit(scores: Floats, parameters: Parameters) -> Floats:
    standard = (scores - parameters[LOCATION]) / parameters[SCALE]
    return np.asarray(expit(standard), dtype=np.float64)
