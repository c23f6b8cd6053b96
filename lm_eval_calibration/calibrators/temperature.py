"""Temperature scaling: one number by which all option log-likelihoods are divided."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from lm_eval_calibration.calibrators.contract import Method, Options, Parameters
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.metrics.families import NLL
from lm_eval_calibration.predictions import Floats, Predictions

LOWEST, HIGHEST = 0.01, 100.0
"""Temperatures are sought in here: beyond them all documents are certain, or none is."""


class FittedTemperature(NamedTuple):
    """A temperature, and the mean NLL at it, nats."""

    temperature: float
    nll: float


def fit(beliefs: Options) -> Parameters:
    """The temperature with the least NLL (Guo et al., 2017, section 4.2)."""
    return {"temperature": np.array(least_nll(beliefs, LOWEST, HIGHEST).temperature)}


def least_nll(beliefs: Options, lowest: float, highest: float) -> FittedTemperature:
    """The temperature between two with the least NLL, by Brent on its logarithm."""

    def loss(log_temperature: float) -> float:
        scaled = beliefs._replace(logits=beliefs.logits / np.exp(log_temperature))
        nll, *_ = NLL.read(Predictions.from_flat(*scaled[:3]))
        return float(np.average(np.minimum(nll, 1e6), weights=scaled.weight))

    if lowest == highest:
        return FittedTemperature(lowest, loss(float(np.log(lowest))))
    return least(loss, lowest, highest)


def least(loss: Callable[[float], float], lowest: float, highest: float) -> FittedTemperature:
    """The temperature between two with the least loss, which is given its logarithm."""
    bounds = np.log([lowest, highest])
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return FittedTemperature(float(np.exp(found.x)), float(found.fun))


def apply(beliefs: Options, parameters: Parameters) -> Floats:
    """Log-likelihoods over the temperature."""
    return beliefs.logits / parameters["temperature"]


def check(parameters: Parameters) -> None:
    """One temperature, where it is sought."""
    named(parameters, "temperature")
    bounded(parameters, "temperature", (), LOWEST, HIGHEST)


METHOD = Method(
    "temperature",
    "one number divides all log-likelihoods",
    fit,
    apply,
    check,
    any_constant=True,
    weighted=True,
)
