"""Vector scaling: a factor and an offset for each position of an option (A, B, C, ...)."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from lm_eval_calibration.calibrators import temperature
from lm_eval_calibration.calibrators.contract import Method, Options, Parameters
from lm_eval_calibration.calibrators.validity import bounded, named
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Floats
from lm_eval_calibration.ragged import Ragged, kinds_of, positions

PENALTY = 1e-3
"""On squared offsets and on how far log factors are from the temperature's: ties rare letters down."""


def fit(beliefs: Options) -> Parameters:
    """Least NLL (Guo et al., 2017, section 4.2) with a slight penalty, by L-BFGS."""
    if len(kinds_of(beliefs.num_options)) > 1:
        raise invalid(
            "predictions",
            "documents of about as many options, for `vector` has parameters of each position",
            f"from {beliefs.num_options.min()} to {beliefs.num_options.max()}",
            "Use `temperature`, which takes any number.",
        )
    matrix = Ragged(beliefs.logits, beliefs.num_options).padded(-np.inf)
    gold = Ragged(beliefs.gold, beliefs.num_options).padded(False)
    options = matrix.shape[1]
    start = -np.log(temperature.fit(beliefs)["temperature"])
    there = np.isfinite(matrix)
    z, gold = np.where(there, matrix, 0.0), gold & there
    usable = gold.any(axis=1)
    weight = np.ones(len(z)) if beliefs.weight is None else beliefs.weight
    z, there, gold = z[usable], there[usable], gold[usable]
    share = weight[usable] / weight[usable].sum()

    def loss(x: Floats) -> tuple[float, Floats]:
        scale, offset = np.exp(x[:options]), x[options:]
        logits = np.where(there, z * scale + offset, -np.inf)
        shifted = logits - logits.max(axis=1, keepdims=True)
        e = np.exp(shifted)
        total, right = e.sum(axis=1), (e * gold).sum(axis=1)
        value = share @ (np.log(total) - np.log(np.maximum(right, 1e-300)))
        slope = e / total[:, None] - e * gold / np.maximum(right, 1e-300)[:, None]
        slope *= share[:, None]
        away = x - np.concatenate([np.full(options, start), np.zeros(options)])
        gradient = np.concatenate([(slope * z).sum(axis=0) * scale, slope.sum(axis=0)])
        return value + PENALTY * float(away @ away), gradient + 2 * PENALTY * away

    first = np.concatenate([np.full(options, start), np.zeros(options)])
    limits = tuple(np.log([temperature.LOWEST, temperature.HIGHEST]))
    bounds = [limits] * options + [(None, None)] * options
    found = minimize(loss, first, jac=True, method="L-BFGS-B", bounds=bounds).x
    return {"scale": np.exp(found[:options]), "offset": found[options:]}


def apply(beliefs: Options, parameters: Parameters) -> Floats:
    """Log-probabilities times their position's factor, plus its offset.

    Raises:
        InvalidInputError: a document has more options than any that it was fitted on.
    """
    known = len(parameters["scale"])
    most = int(beliefs.num_options.max())
    if most > known:
        raise invalid(
            "predictions",
            f"documents of at most {known} options, as `vector` was fitted on",
            f"one with {most}",
            "Use `temperature`, which takes any number.",
        )
    position = positions(beliefs.num_options)
    return beliefs.logits * parameters["scale"][position] + parameters["offset"][position]


def check(parameters: Parameters) -> None:
    """(K,) factors, as far from 1 as a temperature may be, and as many offsets."""
    named(parameters, "scale", "offset")
    scale = bounded(parameters, "scale", (None,), temperature.LOWEST, temperature.HIGHEST)
    bounded(parameters, "offset", scale.shape)


METHOD = Method(
    "vector", "a factor and an offset for each option's position", fit, apply, check,
    keeps_order=False, weighted=True,
)  # fmt: skip
