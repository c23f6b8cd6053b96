"""Which beliefs in an answer are probabilities."""

from __future__ import annotations

from lm_eval_calibration.metrics.agreement import ENTROPIES
from lm_eval_calibration.metrics.token_scores import LIKELIHOODS, PROBABILITIES

NO_PROBABILITIES = (*ENTROPIES, *(name for name in LIKELIHOODS if name not in PROBABILITIES))
"""Beliefs that are scores of any size: they rank, and a fitted map makes probabilities of them."""
