"""Logistic curves with slopes that are not negative: what Platt scaling and beta share."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from lm_eval_calibration.calibrators.contract import Parameters
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.predictions import Bools, Floats


def fit_logistic(features: Floats, verdict: Bools, weight: Floats | None = None) -> Floats:
    """(F + 1,) slopes, none below 0, and offset of the logistic curve with the least NLL.

    Args:
        features: (M, F).
        verdict: (M,). Its targets are Platt's: (right + 1) / (right + 2) and 1 / (wrong + 2), so
            that a perfectly separated sample has a finite fit.
        weight: (M,) how many each stands for.
    """
    w = np.ones(len(verdict)) if weight is None else weight
    right, total = float(w @ verdict), float(w.sum())
    high, low = (right + 1) / (right + 2), 1 / (total - right + 2)
    share = w / total
    target = np.where(verdict, high, low)
    x = np.column_stack([features, np.ones(len(features))])

    def loss(slopes: Floats) -> tuple[float, Floats]:
        z = x @ slopes
        value = share @ (np.logaddexp(0, z) - target * z)
        return float(value), x.T @ (share * (expit(z) - target))

    count = features.shape[1]
    start = np.append(np.full(count, 1.0), 0.0)
    bounds = [*[(0.0, None)] * count, (None, None)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)


def check_weights(parameters: Parameters, features: int) -> None:
    """Refuse weights that `fit_logistic` cannot have found.

    Raises:
        InvalidInputError: other parameters, another number of weights, or a falling curve.
    """
    named(parameters, "weights")
    weights = bounded(parameters, "weights", (features + 1,))
    bounded({"slope": weights[:-1]}, "slope", (features,), 0)


def logistic(features: Floats, weights: Floats) -> Floats:
    """(M,) the curve's probabilities."""
    return np.asarray(expit(features @ weights[:-1] + weights[-1]), dtype=np.float64)
