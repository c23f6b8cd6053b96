"""The recognition network: from a prompt's hidden state to its inverse temperature."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import softplus

ONE = math.log(math.e - 1)
"""Softplus of this is 1."""
FLOOR = 1e-3
"""Inverse temperatures are kept above it: tasks at chance push them to 0."""


class Recognition(nn.Module):
    """Parallel branches Linear, ReLU, Linear, one number each; a Linear joins them; softplus.

    Args:
        size: H, of a hidden state.
        width: of a branch's hidden layer.
        branches: how many.
        start_at_one: whether the untrained network says 1 to everything.
    """

    def __init__(self, size: int, width: int, branches: int, start_at_one: bool = False) -> None:
        super().__init__()
        self.hidden = nn.Linear(size, branches * width)
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(branches, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(branches).uniform_(-bound, bound))
        self.out = nn.Linear(branches, 1)
        if start_at_one:
            nn.init.zeros_(self.out.weight)
            nn.init.constant_(self.out.bias, ONE)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """(N,) inverse temperatures, at least `FLOOR`, of hidden states (N, H)."""
        hidden = self.hidden(states).relu().unflatten(1, self.weight.shape)
        branches = (hidden * self.weight).sum(dim=2) + self.bias
        return softplus(self.out(branches)[:, 0]).clamp_min(FLOOR)
