"""Batch calibration: what a model prefers whatever it is asked is taken out. It reads no labels."""

from __future__ import annotations

import numpy as np

from lm_eval_calibration.calibrators.contract import Method, Options, Parameters
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Floats, Ints
from lm_eval_calibration.ragged import kinds_of, positions

LEAST_PREFERENCE = 1e-6
"""A preference is at least so large, that a letter without any belief is not raised without bound."""


def fit(beliefs: Options) -> Parameters:
    """How much more than its even share each position gets on average (Zhou et al., ICLR 2024).

    r_k = mean over documents that have an option k of K p_k; 1 is no preference. What is right is not
    read.
    """
    if len(kinds_of(beliefs.num_options)) > 1:
        raise invalid(
            "predictions",
            "documents of about as many options, for `prior` has a preference for each position",
            f"from {beliefs.num_options.min()} to {beliefs.num_options.max()}",
        )
    return {"preference": preference(np.exp(beliefs.logits), beliefs.num_options, beliefs.weight)}


def preference(probabilities: Floats, num_options: Ints, weight: Floats | None = None) -> Floats:
    """(K,) mean of K p_k at each position, over those that have it, of probabilities (T,) one after another."""
    position, share = positions(num_options), np.repeat(num_options, num_options)
    each = np.repeat(np.ones(len(num_options)) if weight is None else weight, num_options)
    total = np.bincount(position, weights=each * probabilities * share)
    return np.maximum(total / np.bincount(position, weights=each), LEAST_PREFERENCE)


def apply(beliefs: Options, parameters: Parameters) -> Floats:
    """p_k over its position's preference, as a logarithm.

    Raises:
        InvalidInputError: a document has more options than any that it was fitted on.
    """
    known, most = len(parameters["preference"]), int(beliefs.num_options.max())
    if most > known:
        raise invalid(
            "predictions", f"documents of at most {known} options, as `prior` was fitted on", f"one with {most}",
        )  # fmt: skip
    found: Floats = (
        beliefs.logits - np.log(parameters["preference"])[positions(beliefs.num_options)]
    )
    return found


def check(parameters: Parameters) -> None:
    """(K,) preferences."""
    named(parameters, "preference")
    bounded(parameters, "preference", (None,), LEAST_PREFERENCE, 1e6)


METHOD = Method(
    "prior", "what is preferred whatever is asked is divided out; reads no labels", fit, apply, check,
    keeps_order=False, label_free=True, weighted=True,
)  # fmt: skip
