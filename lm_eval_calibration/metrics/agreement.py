"""How far sampled answers agree: mass of the answer's cluster, and semantic entropies.

Samples that say the same are a cluster. Kuhn et al., ICLR 2023; Farquhar et al., Nature 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.predictions import Floats

MASS, WEIGHTED_MASS = "cluster_mass", "weighted_mass"
DISCRETE, SEMANTIC, SEQUENCE = (
    "discrete_semantic_entropy",
    "semantic_entropy",
    "sequence_semantic_entropy",
)
CONSISTENCY = "consistency"
ENTROPIES = (DISCRETE, SEMANTIC, SEQUENCE)
"""Minus entropies, in nats: higher is surer; no probabilities."""
OF_WEIGHTS = (WEIGHTED_MASS, SEMANTIC, SEQUENCE)
"""For which the samples' likelihoods are needed."""
BELIEFS = (MASS, DISCRETE, *OF_WEIGHTS)

Weight = tuple[float, float]
"""Of a sample: its log-likelihood in nats, and how many tokens it has."""


def agreement(clusters: Sequence[int], weights: Sequence[Weight] = ()) -> dict[str, float]:
    """Beliefs in an answer that follow from n samples; entropies with a minus, so that higher is surer.

    - `cluster_mass`: the share of samples that say what the answer says;
    - `discrete_semantic_entropy`: of the clusters' shares of the samples;
    - `weighted_mass`, `semantic_entropy`: the same where each sample counts by its length-normalised
      likelihood exp(mean log p), as in Farquhar et al.;
    - `sequence_semantic_entropy`: the mean over samples of log sum exp(log p) over their cluster, which
      is minus the entropy (Kuhn et al., eq. 4; lm-polygraph's `SemanticEntropy`).

    Args:
        clusters: numbers: the answer's, then each sample's.
        weights: of the samples; () where they are not known, and (0, 0) of one without tokens, which
            does not count where samples are weighted.

    Raises:
        InvalidInputError: no samples, or another number of weights.

    >>> found = agreement([0, 0, 0, 1, 0])
    >>> found["cluster_mass"], round(found["discrete_semantic_entropy"], 3)
    (0.75, -0.562)
    """
    own, *samples = clusters
    if not samples:
        raise invalid("clusters", "the answer's, and at least one sample's", list(clusters))
    if weights and len(weights) != len(samples):
        raise invalid("weights", f"one for each of {len(samples)} samples", len(weights))
    number = np.array(samples)
    equal = np.full(len(samples), 1 / len(samples))
    found = {MASS: float((number == own).mean()), DISCRETE: -entropy(_masses(number, equal))}
    logs, lengths = np.array(weights or [(0.0, 0.0)] * len(samples), dtype=np.float64).T
    spoken = lengths > 0
    if spoken.any():
        logs, lengths, number = logs[spoken], lengths[spoken], number[spoken]
        share = np.exp(logs / lengths - (logs / lengths).max())
        share /= share.sum()
        found[WEIGHTED_MASS] = float(share[number == own].sum())
        found[SEMANTIC] = -entropy(_masses(number, share))
        same = number[:, None] == number
        sums = np.logaddexp.reduce(np.where(same, logs, -np.inf), axis=1)
        found[SEQUENCE] = float(sums.mean())
    return {name: value + 0.0 for name, value in found.items()}  # (no -0.0)


def entropy(masses: Floats) -> float:
    """-sum of p log p, in nats."""
    positive = masses[masses > 0]
    return float(-(positive * np.log(positive)).sum())


def _masses(number: Any, share: Floats) -> Floats:
    """What each cluster holds."""
    _, place = np.unique(number, return_inverse=True)
    return np.asarray(np.bincount(place, weights=share), dtype=np.float64)


def components(same: ArrayLike) -> list[int]:
    """Clusters of N texts by which pairs say the same: whatever is joined by a chain of pairs.

    The order of texts does not matter, as it does where each is compared with one member of a cluster.

    Args:
        same: (N, N) truth values; one direction is enough.

    >>> components(np.array([[1, 0, 1], [0, 1, 0], [0, 0, 1]]))
    [0, 1, 0]
    """
    from scipy.sparse.csgraph import connected_components

    _, numbers = connected_components(np.asarray(same, dtype=bool), directed=False)
    first: dict[int, int] = {}
    return [first.setdefault(int(n), len(first)) for n in numbers]
