"""Probabilities mixed with the uniform distribution: the share with the least NLL."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from lm_eval_calibration.calibrators.contract import Method, Options, Parameters
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.predictions import Floats

LEAST = 1e-6


def fit(beliefs: Options) -> Parameters:
    """The share of the uniform distribution."""
    p = np.exp(beliefs.logits[beliefs.gold])
    uniform = 1 / np.repeat(beliefs.num_options, beliefs.num_options)[beliefs.gold]

    def loss(share: float) -> float:
        return -float(np.sort(np.log((1 - share) * p + share * uniform)).sum())

    found = minimize_scalar(loss, bounds=(LEAST, 1 - LEAST), method="bounded")
    return {"share": np.array(found.x)}


def apply(beliefs: Options, parameters: Parameters) -> Floats:
    """Log-probabilities of the mixture."""
    uniform = 1 / np.repeat(beliefs.num_options, beliefs.num_options)
    share = parameters["share"]
    return np.log((1 - share) * np.exp(beliefs.logits) + share * uniform)


def check(parameters: Parameters) -> None:
    """One share."""
    named(parameters, "share")
    bounded(parameters, "share", (), LEAST / 2, 1)


METHOD = Method("shrink", "a share of the uniform distribution", fit, apply, check)
