"""Re-softmax: a temperature that takes probabilities for logits, the mistake that others repair.

softmax(p / T): at T = 1 the largest of K probabilities cannot exceed e / (e + K - 1), and the map
sees differences where ratios count. Here for comparison (Wang et al., 2024).
"""

from __future__ import annotations

import numpy as np

from lm_eval_calibration.calibrators.contract import Method, Options, Parameters
from lm_eval_calibration.calibrators.inverse_softmax import probabilities
from lm_eval_calibration.calibrators.temperature import least_nll
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.predictions import Floats

LOWEST, HIGHEST = 0.01, 100.0


def fit(beliefs: Options) -> Parameters:
    """The temperature with the least NLL."""
    scaled = beliefs._replace(logits=probabilities(beliefs))
    return {"temperature": np.array(least_nll(scaled, LOWEST, HIGHEST).temperature)}


def apply(beliefs: Options, parameters: Parameters) -> Floats:
    """Probabilities over the temperature, as logits."""
    return probabilities(beliefs) / parameters["temperature"]


def check(parameters: Parameters) -> None:
    """One temperature, where it is sought."""
    named(parameters, "temperature")
    bounded(parameters, "temperature", (), LOWEST, HIGHEST)


METHOD = Method(
    "resoftmax", "a temperature on probabilities as if they were logits; for comparison",
    fit, apply, check, weighted=True,
)  # fmt: skip
