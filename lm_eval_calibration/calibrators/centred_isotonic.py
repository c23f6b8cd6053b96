"""Centred isotonic regression: the staircase of `isotonic` without its flats, so that order is kept."""

from __future__ import annotations

import numpy as np
from sklearn.isotonic import IsotonicRegression

from lm_eval_calibration.calibrators import isotonic
from lm_eval_calibration.calibrators.contract import Parameters, on_probabilities
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Bools, Floats


def fit(probability: Floats, verdict: Bools, weight: Floats | None = None) -> Parameters:
    """Corners of the curve: the middle of each of the staircase's steps (Oron and Flournoy, 2017).

    A step's middle is the mean of its probabilities. The curve goes straight on from the outermost ones
    to half of what `isotonic` keeps from 0 and 1, so that it rises everywhere.
    """
    w = np.ones(len(probability)) if weight is None else weight
    probability, verdict, w = probability[w > 0], verdict[w > 0], w[w > 0]
    edge = 1 / (float(w.sum()) + 2)
    curve = IsotonicRegression(y_min=edge, y_max=1 - edge, out_of_bounds="clip")
    curve.fit(probability, verdict.astype(np.float64), sample_weight=w)
    height, step = np.unique(curve.transform(probability), return_inverse=True)
    middle = np.bincount(step, weights=w * probability) / np.bincount(step, weights=w)
    x, y = (
        np.concatenate(each)
        for each in (([0.0], middle, [1.0]), ([edge / 2], height, [1 - edge / 2]))
    )
    apart = np.append(True, np.diff(x) > 0)  # (a step at 0 or 1 itself takes the end's place)
    x, y = x[apart], y[apart]
    if len(middle) and middle[0] == 0.0:
        y[0] = height[0]
    if len(middle) and middle[-1] == 1.0:
        y[-1] = height[-1]
    return {"x": x, "y": y}


def check(parameters: Parameters) -> None:
    """Corners as `isotonic` has them, that rise."""
    isotonic.check(parameters)
    falls = np.flatnonzero(np.diff(parameters["y"]) <= 0)
    if len(falls):
        raise invalid("y", "rising", f"none from corner {int(falls[0]) + 1} to the next")


METHOD = on_probabilities(
    "centred_isotonic", "the rising staircase, straight from the middle of each step to the next's",
    fit, isotonic.apply, check, weighted=True,
)  # fmt: skip
