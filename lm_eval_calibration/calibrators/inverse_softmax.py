"""Inverse softmax: printed probabilities become log-probabilities again, and a temperature divides.

Wang et al., 2024: p_i^(1/T) / sum_j p_j^(1/T). The unknown constant of the inverse cancels. Printed
numbers are rounded, so that exact zeros are common, also where the label is right; a floor replaces
them, and the temperature depends on it: a floor far below the rounding step drives it up without
bound. It is chosen with the temperature, by NLL.
"""

from __future__ import annotations

import numpy as np

from lm_eval_calibration.calibrators.contract import Method, Options, Parameters
from lm_eval_calibration.calibrators.temperature import least_nll
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.predictions import Floats
from lm_eval_calibration.ragged import by_rows

FLOORS = (1e-4, 1e-3, 3e-3, 1e-2)
LOWEST, HIGHEST = 0.05, 20.0
"""Temperatures are sought in here; one at an end says that the map does not fit."""
HIGHEST_FLOOR = 0.5
"""Of two options the likelier one is above it."""


def fit(beliefs: Options) -> Parameters:
    """The floor and temperature with the least NLL on the labelled documents."""
    return min((fit_at(beliefs, floor) for floor in FLOORS), key=lambda found: loss(beliefs, found))


def fit_at(beliefs: Options, floor: float) -> Parameters:
    """The temperature with the least NLL at a floor that is given."""
    found = least_nll(beliefs._replace(logits=floored(beliefs, floor)), LOWEST, HIGHEST)
    return {"temperature": np.array(found.temperature), "floor": np.array(floor)}


def loss(beliefs: Options, parameters: Parameters) -> float:
    """Mean NLL of the mapped beliefs, nats."""
    floor, temperature = float(parameters["floor"]), float(parameters["temperature"])
    scaled = floored(beliefs, floor) / temperature
    return least_nll(beliefs._replace(logits=scaled), 1.0, 1.0).nll


def floored(beliefs: Options, floor: float) -> Floats:
    """(T,) logarithms of probabilities, none of them below the floor."""
    return np.log(np.maximum(probabilities(beliefs), floor))


def probabilities(beliefs: Options) -> Floats:
    """(T,) softmax over each document's options."""

    def softmax(logits: Floats) -> Floats:
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    return by_rows(softmax, beliefs.logits, beliefs.num_options, -np.inf)


def apply(beliefs: Options, parameters: Parameters) -> Floats:
    """Log-probabilities above the floor, over the temperature."""
    return floored(beliefs, float(parameters["floor"])) / parameters["temperature"]


def check(parameters: Parameters) -> None:
    """One temperature, where it is sought, and a floor that leaves room above it."""
    named(parameters, "temperature", "floor")
    bounded(parameters, "temperature", (), LOWEST, HIGHEST)
    bounded(parameters, "floor", (), 0, HIGHEST_FLOOR)


METHOD = Method(
    "inverse_softmax", "a floor for printed zeros, then one number divides log-probabilities",
    fit, apply, check, weighted=True,
)  # fmt: skip
