"""Telling unfamiliar documents from familiar ones by a score of uncertainty.

Positives are the unfamiliar, out-of-distribution ones, as in OpenOOD (Yang et al., 2022).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics.intervals import Spread, bootstrap_spread
from lm_eval_calibration.predictions import Floats

RECALL = 0.95
_BLOCK = 32


class Detection(NamedTuple):
    """How well a score tells two sets apart.

    auroc: how probable it is that an unfamiliar document scores above a familiar one, ties half;
    aupr: average precision with the unfamiliar as positives; aupr_in: with the familiar ones, by
    the negated score; fpr95: the share of familiar documents that score at least as high as the
    lowest threshold that finds 95 % of the unfamiliar ones. Without skill: 1/2, M / (N + M),
    N / (N + M), and 0.95.
    """

    auroc: Floats
    aupr: Floats
    aupr_in: Floats
    fpr95: Floats


def detect(inside: Floats, outside: Floats) -> Detection:
    """Tell N familiar documents from M unfamiliar ones.

    Args:
        inside: (N,) scores of familiar documents, higher for less familiar.
        outside: (M,) scores of unfamiliar ones.

    Raises:
        InvalidInputError: one of them is empty, or holds NaN.

    >>> [float(v) for v in detect(np.array([0.1, 0.2]), np.array([0.2, 0.3]))][0]
    0.875
    """
    familiar, unfamiliar = _counts(inside, outside)
    found = _detect(familiar[None], unfamiliar[None])
    return Detection(*(values[0] for values in found))


def detection_spread(
    inside: Floats, outside: Floats, replicates: int = 1000, seed: int = 0
) -> tuple[Spread, ...]:
    """The error bar of each figure: the bootstrap of both sets, each drawn by itself."""
    familiar, unfamiliar = _counts(inside, outside)
    values = _detect(familiar[None], unfamiliar[None])
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, replicates, _BLOCK):
        size = min(_BLOCK, replicates - start)
        drawn = (_drawn(counts, size, rng) for counts in (familiar, unfamiliar))
        parts.append(_detect(*drawn))
    draws = [np.concatenate(figures) for figures in zip(*parts, strict=True)]
    return tuple(
        bootstrap_spread(float(v), d, float(v), False).within((0.0, 1.0), float(v))
        for (v,), d in zip(values, draws, strict=True)
    )


def _counts(inside: Floats, outside: Floats) -> tuple[Floats, Floats]:
    """(G,) how many documents of each set have each distinct score, the highest score first."""
    sets = {"inside": np.asarray(inside, float), "outside": np.asarray(outside, float)}
    for name, scores in sets.items():
        if scores.ndim != 1 or not len(scores):
            raise invalid(name, "scores of at least one document", f"shape {scores.shape}")
        if np.isnan(scores).any():
            raise invalid(name, "scores without NaN", "NaN")
    together = np.concatenate(list(sets.values()))
    distinct, group = np.unique(-together, return_inverse=True)
    size = len(distinct)
    n = len(sets["inside"])
    familiar, unfamiliar = (np.bincount(g, minlength=size) for g in (group[:n], group[n:]))
    return familiar.astype(np.float64), unfamiliar.astype(np.float64)


def _drawn(counts: Floats, replicates: int, rng: np.random.Generator) -> Floats:
    """(B, G) counts of so many bootstrap samples."""
    total = counts.sum()
    return rng.multinomial(int(total), counts / total, size=replicates).astype(np.float64)


def _detect(familiar: Floats, unfamiliar: Floats) -> Detection:
    """Each figure (B,) of counts (B, G), the highest score first."""
    false, true = familiar.cumsum(axis=1), unfamiliar.cumsum(axis=1)
    n, m = false[:, -1], true[:, -1]
    above = true - unfamiliar / 2  # unfamiliar ones above each score, ties half
    found = np.argmax(true >= RECALL * m[:, None], axis=1)
    return Detection(
        (familiar * above).sum(axis=1) / (n * m),
        average_precision(unfamiliar, familiar),
        average_precision(familiar[:, ::-1], unfamiliar[:, ::-1]),
        false[np.arange(len(false)), found] / n,
    )


def average_precision(positives: Floats, negatives: Floats) -> Floats:
    """(B,) precision at each threshold, weighted by the recall that it adds."""
    true = positives.cumsum(axis=1)
    seen = true + negatives.cumsum(axis=1)
    precision = np.divide(true, seen, out=np.zeros(true.shape), where=seen > 0)
    return (positives * precision).sum(axis=1) / true[:, -1]
