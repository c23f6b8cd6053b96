"""Isotonic regression: the rising staircase that fits best."""

from __future__ import annotations

import numpy as np
from sklearn.isotonic import IsotonicRegression

from lm_eval_calibration.calibrators.contract import Parameters, on_probabilities
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Bools, Floats


def fit(probability: Floats, verdict: Bools, weight: Floats | None = None) -> Parameters:
    """Corners of the curve (Zadrozny and Elkan, 2002), equal probabilities pooled before the fit.

    It stays within 1 / (M + 2) of 0 and 1, so that no finite sample makes anything certain.
    """
    edge = 1 / ((len(probability) if weight is None else float(weight.sum())) + 2)
    curve = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    curve.fit(probability, verdict.astype(np.float64), sample_weight=weight)
    return {"x": curve.X_thresholds_.astype(np.float64), "y": curve.y_thresholds_}


def apply(probability: Floats, parameters: Parameters) -> Floats:
    """The curve's value, straight between corners; beyond the last corner as at the corner."""
    return np.interp(probability, parameters["x"], parameters["y"])


def check(parameters: Parameters) -> None:
    """(M,) corners inside the unit square, each to the right of the last and not below it."""
    named(parameters, "x", "y")
    x = bounded(parameters, "x", (None,), 0, 1)
    y = bounded(parameters, "y", x.shape, 0, 1)
    for name, steps in (("x", np.diff(x)), ("y", np.diff(y))):
        if (steps < 0).any():
            raise invalid(name, "rising", f"a fall at corner {int(np.argmax(steps < 0)) + 2}")


METHOD = on_probabilities(
    "isotonic", "the rising staircase that fits best", fit, apply, check, weighted=True
)
