"""How likely a model found its own answer: scores of the answer's tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.predictions import Floats


class TokenScores(NamedTuple):
    """What was computed at each of an answer's T tokens.

    Attributes:
        log_probability: (T,) of the token that was said, in nats, under the model's own
            distribution (temperature 1).
        margin: (T,) probability of the likeliest token less that of the second; NaN where one
            alone is known, `None` where distributions are not.
        entropy: (T,) of the distribution in its place, in nats; `None` likewise.
    """

    log_probability: Floats
    margin: Floats | None = None
    entropy: Floats | None = None


def sequence(tokens: TokenScores) -> float:
    """exp(sum of log p): the probability of the whole answer, which long ones do not have."""
    return math.exp(float(tokens.log_probability.sum()))


def normalised(tokens: TokenScores) -> float:
    """exp(mean of log p): one over the perplexity (Malinin and Gales, ICLR 2021)."""
    return math.exp(float(tokens.log_probability.mean()))


def least(tokens: TokenScores) -> float:
    """The least probable token's probability."""
    return math.exp(float(tokens.log_probability.min()))


def margin(tokens: TokenScores) -> float | None:
    """Mean over tokens of the likeliest one's probability less the second's."""
    known = tokens.margin[~np.isnan(tokens.margin)] if tokens.margin is not None else ()
    return float(np.mean(known)) if len(known) else None


def entropy(tokens: TokenScores) -> float | None:
    """Minus the mean entropy of the distributions, in nats: higher is surer."""
    return None if tokens.entropy is None else -float(tokens.entropy.mean())


LIKELIHOODS: Mapping[str, Callable[[TokenScores], float | None]] = {
    "sequence": sequence,
    "normalised": normalised,
    "least": least,
    "margin": margin,
    "entropy": entropy,
}
"""Scores of an answer by its tokens; higher is surer."""
PROBABILITIES = ("sequence", "normalised", "least")
"""Those that are probabilities, if not of being right."""


def likelihoods(tokens: TokenScores) -> dict[str, float]:
    """All scores that can be had of an answer of at least one token."""
    found = {name: of(tokens) for name, of in LIKELIHOODS.items()}
    return {name: value for name, value in found.items() if value is not None}


def of_distribution(probabilities: Floats) -> tuple[float, float]:
    """Margin and entropy of the likeliest tokens' probabilities; what they leave counts as one more.

    >>> [round(x, 3) for x in of_distribution(np.array([0.5, 0.25]))]
    [0.25, 1.04]
    """
    best = np.sort(probabilities)[::-1]
    rest = max(1.0 - float(best.sum()), 0.0)
    every = np.append(best, rest)
    every = every[every > 0]
    gap = float(best[0] - best[1]) if len(best) > 1 else math.nan
    return gap, float(-(every * np.log(every)).sum())
