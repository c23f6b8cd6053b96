"""Temperature scaling: one number by which all option log-likelihoods are divided."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from lm_eval_calibration.calibrators.contract import Method, Options, Parameters
from lm_eval_calibration.metrics.proper import nll_values
from lm_eval_calibration.predictions import Floats, Predictions

LOWEST, HIGHEST = 0.01, 100.0
"""Temperatures are sought in here: beyond them all documents are certain, or none is."""


def fit(beliefs: Options) -> Parameters:
    """The temperature with the least NLL (Guo et al., 2017, section 4.2), by Brent on its log."""

    def loss(log_temperature: float) -> float:
        scaled = beliefs._replace(logits=beliefs.logits / np.exp(log_temperature))
        p = Predictions.from_padded(*scaled)
        assert p.log_probabilities is not None
        return float(np.mean(np.minimum(nll_values(p.log_probabilities, beliefs.gold), 1e6)))

    bounds = np.log([LOWEST, HIGHEST])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return {"temperature": np.array(np.exp(found.x))}


def apply(beliefs: Options, parameters: Parameters) -> Floats:
    """Log-likelihoods over the temperature."""
    return beliefs.logits / parameters["temperature"]


METHOD = Method(
    "temperature", "one number divides all log-likelihoods", fit, apply, any_constant=True
)
