"""DACA: the temperature at which a tuned model is as sure as its pre-trained sibling. It reads no labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lm_eval_calibration.calibrators.contract import options_of
from lm_eval_calibration.calibrators.temperature import HIGHEST, LOWEST, least
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.ragged import starts_of


class Aligned(NamedTuple):
    """A temperature, and on how many of the documents both models prefer the same option."""

    temperature: float
    agreed: int
    documents: int


def align(tuned: Predictions, reference: Predictions) -> Aligned:
    """The temperature of the tuned model's beliefs that are nearest to the reference's.

    argmin over T of the mean over documents on which both prefer the same option of
    KL(p_reference || softmax(l_tuned / T)). Where they disagree T would grow without bound, so that such
    documents are left out. Source: Luo et al., NeurIPS 2025, eq. 5 to 7 (Disagreement-Aware Confidence
    Alignment).

    Args:
        tuned: N documents; what is right is not read.
        reference: the same ones, in the same order, with as many options each.

    Raises:
        InvalidInputError: confidences alone, other documents, or none on which both agree.
    """
    if tuned.predicted is None or reference.predicted is None:
        raise invalid("--samples", "runs that log all options", "confidences alone")
    one, other = options_of(tuned), options_of(reference)
    if not np.array_equal(one.num_options, other.num_options):
        raise invalid("--reference", "a run on the same documents with the same options", "others")
    agreed = tuned.predicted == reference.predicted
    if not agreed.any():
        raise invalid(
            "--reference",
            "a model that prefers the same option on some of the documents",
            "one that never does",
        )
    starts = starts_of(one.num_options)[:-1]
    inside, wanted = np.repeat(agreed, one.num_options), np.exp(other.logits)

    def loss(log_temperature: float) -> float:
        scaled = one.logits / np.exp(log_temperature)
        sums = np.logaddexp.reduceat(scaled, starts)
        surprise = np.repeat(sums, one.num_options) - scaled
        lost = np.where(wanted > 0, wanted * np.minimum(surprise, 1e6), 0.0)
        return float(lost[inside].sum() / agreed.sum())

    return Aligned(least(loss, LOWEST, HIGHEST).temperature, int(agreed.sum()), len(tuned))
