"""Platt scaling: a logistic curve of the log-odds."""

from __future__ import annotations

import numpy as np
from scipy.special import logit

from lm_eval_calibration.calibrators.contract import SMALLEST, Parameters, on_probabilities
from lm_eval_calibration.calibrators.logistic import check_weights, fit_logistic, logistic
from lm_eval_calibration.predictions import Bools, Floats


def fit(probability: Floats, verdict: Bools, weight: Floats | None = None) -> Parameters:
    """Slope, not negative, and offset; Platt, 1999, with his targets."""
    return {"weights": fit_logistic(_features(probability), verdict, weight)}


def apply(probability: Floats, parameters: Parameters) -> Floats:
    """The curve's value."""
    return logistic(_features(probability), parameters["weights"])


def check(parameters: Parameters) -> None:
    """A slope, not negative, and an offset."""
    check_weights(parameters, 1)


def _features(probability: Floats) -> Floats:
    return logit(np.clip(probability, SMALLEST, 1 - SMALLEST))[:, None]


METHOD = on_probabilities(
    "platt", "a logistic curve of the log-odds", fit, apply, check, weighted=True
)
