"""A monotone spline of the log-odds: bends where the documents say so, and falls nowhere."""

from __future__ import annotations

import numpy as np
from scipy.special import logit
from sklearn.preprocessing import SplineTransformer

from lm_eval_calibration.calibrators.contract import SMALLEST, Parameters, on_probabilities
from lm_eval_calibration.calibrators.logistic import check_weights, fit_logistic, logistic
from lm_eval_calibration.calibrators.validity import bounded
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Bools, Floats

KNOTS = 6
DEGREE = 2
WIDEST = float(logit(1 - SMALLEST))
APART = 1e-3
"""Knots are at least so far apart, in log-odds."""


def fit(probability: Floats, verdict: Bools, weight: Floats | None = None) -> Parameters:
    """Knots at quantiles of the log-odds, and weights of a logistic curve over them.

    A B-spline whose coefficients rise does not fall (Ramsay, 1988): the weights are the steps from one
    coefficient to the next, none below 0, beside a straight line. Targets are Platt's.
    """
    x = _log_odds(probability)
    shares = np.linspace(0, 1, KNOTS)
    knots = np.quantile(x, shares) if weight is None else _quantiles(x, weight, shares)
    for i in range(1, KNOTS):  # (equal quantiles are moved apart)
        knots[i] = max(knots[i], knots[i - 1] + APART)
    return {"knots": knots, "weights": fit_logistic(_features(x, knots), verdict, weight)}


def _quantiles(x: Floats, weight: Floats, shares: Floats) -> Floats:
    """`np.quantile` of numbers that stand so many times each."""
    order = np.argsort(x)
    until = np.cumsum(weight[order])
    place = shares * max(until[-1] - 1, 0)
    below = np.floor(place)
    first, second = (
        x[order][np.minimum(np.searchsorted(until, at, side="right"), len(x) - 1)]
        for at in (below, below + 1)
    )
    return np.asarray(first + (place - below) * (second - first), dtype=np.float64)


def apply(probability: Floats, parameters: Parameters) -> Floats:
    """The curve's value."""
    x = _log_odds(probability)
    return logistic(_features(x, parameters["knots"]), parameters["weights"])


def check(parameters: Parameters) -> None:
    """Rising knots, and steps that are not negative."""
    if set(parameters) != {"knots", "weights"}:
        raise invalid("parameters", "knots and weights", ", ".join(sorted(parameters)) or "none")
    knots = bounded(parameters, "knots", (KNOTS,), -WIDEST - 1, WIDEST + 1)
    if (np.diff(knots) <= 0).any():
        raise invalid("knots", "rising", knots)
    check_weights({"weights": parameters["weights"]}, KNOTS + DEGREE - 1)


def _log_odds(probability: Floats) -> Floats:
    return np.asarray(logit(np.clip(probability, SMALLEST, 1 - SMALLEST)))


def _features(x: Floats, knots: Floats) -> Floats:
    """(M, KNOTS + DEGREE - 1): the log-odds, and sums of all B-splines from each one on."""
    made = SplineTransformer(degree=DEGREE, knots=knots[:, None], extrapolation="constant")
    basis = made.fit_transform(x[:, None])
    rising = basis[:, ::-1].cumsum(axis=1)[:, ::-1]  # (the first sums to 1: the offset)
    return np.column_stack([x, rising[:, 1:]])


METHOD = on_probabilities(
    "spline", "a rising spline of the log-odds", fit, apply, check, weighted=True
)
