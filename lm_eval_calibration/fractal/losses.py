"""What a scorer is trained on: responses' labels, and what similar sentences have in common.

Source: Makhija et al., 2025, with the cosine's true sign and the correlation prior per pair.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.aggregates import ResponseBelief

BAG_LOSSES = ("bce", "mse")


class Weights(NamedTuple):
    """Of the three losses; at least 0, and their sum is 1."""

    bag: float = 1.0
    cosine: float = 0.0
    correlation: float = 0.0


def bag_loss(belief: ResponseBelief, labels: Tensor, kind: str = "bce") -> Tensor:
    """Mean over responses of the loss between their aggregates and their labels (B,) in [0, 1]."""
    if kind not in BAG_LOSSES:
        raise invalid("bag_loss", " or ".join(BAG_LOSSES), f"`{kind}`")
    if kind == "mse":
        return (belief.log_right.exp() - labels).square().mean()
    return -(labels * belief.log_right + (1 - labels) * belief.log_wrong).mean()


def preference_loss(first: ResponseBelief, second: ResponseBelief, target: Tensor) -> Tensor:
    """Of which of two responses is the better one (Bradley-Terry on their aggregates).

    Args:
        first: aggregates of B responses.
        second: of those they were compared with.
        target: (B,) 1 where the second was preferred, 0 where the first was.
    """
    both = torch.logaddexp(first.log_right, second.log_right)
    won, lost = second.log_right - both, first.log_right - both
    return -(target * won + (1 - target) * lost).mean()


def cosine_prior(z: Tensor, mask: Tensor, cosine: Tensor) -> Tensor:
    """Sentences near the question are right: BCE to (1 + cos) / 2, a mean in each response.

    Args:
        z: (B, n) log-odds.
        mask: (B, n) which are sentences.
        cosine: (B, n) of each sentence's embedding and the question's.
    """
    wanted = ((1 + cosine) / 2).clamp(0, 1)
    losses = binary_cross_entropy_with_logits(z, wanted, reduction="none")
    return _mean_of_means(losses, mask)


def correlation_prior(z: Tensor, mask: Tensor, correlation: Tensor) -> Tensor:
    """Similar sentences are right or wrong together.

    For all ordered pairs, |(1-p_i)(1-p_j) - s_ij| |p_i p_j - s_ij| with s = (1 + rho) / 2, a mean
    over the n^2 pairs of each response (the paper divides by n: long responses then count more).

    Args:
        z: (B, n) log-odds.
        mask: (B, n) which are sentences.
        correlation: (B, n, n) Pearson's, of the embeddings' dimensions.
    """
    p, q = torch.sigmoid(z), torch.sigmoid(-z)
    alike = (1 + correlation) / 2
    both_wrong = (q.unsqueeze(2) * q.unsqueeze(1) - alike).abs()
    both_right = (p.unsqueeze(2) * p.unsqueeze(1) - alike).abs()
    pairs = mask.unsqueeze(2) & mask.unsqueeze(1)
    return _mean_of_means((both_wrong * both_right).flatten(1), pairs.flatten(1))


def sentence_loss(z: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
    """BCE to sentences' labels (B, n), a mean in each response; NaN where a label is unknown.

    Responses of which nothing is known are left out; without any others the loss is 0.
    """
    known = mask & ~labels.isnan()
    losses = binary_cross_entropy_with_logits(z, labels.nan_to_num(), reduction="none")
    rows = known.any(dim=1)
    return _mean_of_means(losses[rows], known[rows]) if bool(rows.any()) else z.sum() * 0


def _mean_of_means(losses: Tensor, mask: Tensor) -> Tensor:
    kept = losses.masked_fill(~mask, 0.0)
    return (kept.sum(dim=1) / mask.sum(dim=1)).mean()
