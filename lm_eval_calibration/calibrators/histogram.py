"""Histogram binning: each bin's share of right ones."""

from __future__ import annotations

import numpy as np

from lm_eval_calibration.calibrators.contract import Parameters, on_probabilities
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.metrics.binning import NUM_BINS, equal_width_bins
from lm_eval_calibration.predictions import Bools, Floats


def fit(probability: Floats, verdict: Bools, weight: Floats | None = None) -> Parameters:
    """(15,) value of each equal-width bin (Zadrozny and Elkan, 2001).

    The share is Laplace's (right + 1) / (M + 2); a bin without documents keeps its centre.
    """
    index = equal_width_bins(probability, NUM_BINS)
    w = np.ones(len(index)) if weight is None else weight
    count = np.bincount(index, w, NUM_BINS)
    right = np.bincount(index, w * verdict, NUM_BINS)
    centre = (np.arange(NUM_BINS) + 0.5) / NUM_BINS
    return {"value": np.where(count > 0, (right + 1) / (count + 2), centre)}


def apply(probability: Floats, parameters: Parameters) -> Floats:
    """The value of the probability's bin."""
    value = parameters["value"]
    return value[equal_width_bins(probability, len(value))]


def check(parameters: Parameters) -> None:
    """(15,) shares."""
    named(parameters, "value")
    bounded(parameters, "value", (NUM_BINS,), 0, 1)


METHOD = on_probabilities(
    "histogram",
    "each bin's share of right ones",
    fit,
    apply,
    check,
    keeps_order=False,
    weighted=True,
)
