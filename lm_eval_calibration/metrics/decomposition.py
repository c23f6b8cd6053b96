"""How uncertain several models are together, and how much of it is that they disagree.

Of D distributions p_d over K options with the average p: the entropy H[p], the expected entropy
E_d H[p_d], and their difference, the mutual information between the answer and the choice of the
model (Houlsby et al., 2011; Depeweg et al., 2018): what better data could take away.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import entr

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Floats


class Decomposition(NamedTuple):
    """Uncertainties of one document, or of many: (...,) each, the first three in nats.

    entropy: of the averaged distribution; expected_entropy: the draws' own, averaged;
    mutual_information: the first less the second, at least 0; disagreement: the share of draws
    whose most probable option is not the average's.
    """

    entropy: Floats
    expected_entropy: Floats
    mutual_information: Floats
    disagreement: Floats


def decompose(probabilities: Floats) -> Decomposition:
    """Uncertainties of draws.

    Args:
        probabilities: (..., D, K) of D draws over K options; options that a document lacks are 0.

    Raises:
        InvalidInputError: no draws, or rows that are no distributions.

    >>> agreed = decompose(np.array([[0.5, 0.5], [0.5, 0.5]]))
    >>> opposed = decompose(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> [round(float(v), 3) for v in (agreed.entropy, agreed.mutual_information)]
    [0.693, 0.0]
    >>> [round(float(v), 3) for v in (opposed.entropy, opposed.mutual_information)]
    [0.693, 0.693]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim < 2 or 0 in p.shape[-2:]:
        raise invalid("probabilities", "of shape (..., draws, options)", p.shape)
    if not (np.abs(p.sum(axis=-1) - 1) < 1e-6).all() or (p < 0).any():
        raise invalid("probabilities", "distributions over the last axis", "other sums than 1")
    average = p.mean(axis=-2)
    entropy = entr(average).sum(axis=-1)
    expected = entr(p).sum(axis=-1).mean(axis=-1)
    votes = p.argmax(axis=-1) != average.argmax(axis=-1)[..., None]
    return Decomposition(
        entropy, expected, np.maximum(entropy - expected, 0.0), votes.mean(axis=-1)
    )
