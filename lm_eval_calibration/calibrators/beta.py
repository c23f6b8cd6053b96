"""Beta calibration: a logistic curve of log p and log(1 - p), each with a slope of its own."""

from __future__ import annotations

import numpy as np

from lm_eval_calibration.calibrators.contract import SMALLEST, Parameters, on_probabilities
from lm_eval_calibration.calibrators.logistic import check_weights, fit_logistic, logistic
from lm_eval_calibration.predictions import Bools, Floats


def fit(probability: Floats, verdict: Bools, weight: Floats | None = None) -> Parameters:
    """Both slopes, not negative, and offset; Kull, Silva Filho and Flach, 2017, equation 5."""
    return {"weights": fit_logistic(_features(probability), verdict, weight)}


def apply(probability: Floats, parameters: Parameters) -> Floats:
    """The curve's value."""
    return logistic(_features(probability), parameters["weights"])


def check(parameters: Parameters) -> None:
    """Two slopes, not negative, and an offset."""
    check_weights(parameters, 2)


def _features(probability: Floats) -> Floats:
    p = np.clip(probability, SMALLEST, 1 - SMALLEST)
    return np.stack([np.log(p), -np.log1p(-p)], axis=1)


METHOD = on_probabilities(
    "beta", "a logistic curve of log p and log(1 - p)", fit, apply, check, weighted=True
)
