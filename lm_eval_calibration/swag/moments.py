"""Running moments of the trainable weights: mean, variance, and the last deviations."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import torch

from lm_eval_calibration.errors import invalid

Shapes = dict[str, tuple[int, ...]]


class Moments:
    """Moments of P weights over the snapshots taken so far, in float32 whatever the weights are.

    Welford's recursion, for E[x^2] - E[x]^2 loses the variance of weights that barely move, and
    bfloat16 loses it long before. Memory: (K + 2) times the weights.

    Attributes:
        shapes: of the weights' tensors by name; they are flattened in this order.
        count: n, how many snapshots there were.
        mean: (P,) of all snapshots.
        squares: (P,) sum of squared deviations from the mean; divided by n the variance.
        deviations: (min(n, K), P) of the last K snapshots, each from the mean that was *then*, as
            Maddox et al., 2019, algorithm 1, has it.

    Args:
        shapes: names and shapes of the weights, none of them empty.
        rank: K, how many deviations are kept.

    Raises:
        InvalidInputError: no weights, or a rank below 2.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], rank: int) -> None:
        if rank < 2:
            raise invalid("rank", "at least 2 deviations", rank)
        if not shapes:
            raise invalid("shapes", "at least one trainable tensor", "none")
        self.shapes: Shapes = {name: tuple(shape) for name, shape in shapes.items()}
        self.rank = rank
        self.count = 0
        size = sum(prod(shape) for shape in self.shapes.values())
        self.mean = torch.zeros(size)
        self.squares = torch.zeros(size)
        self.deviations = torch.zeros(0, size)

    @torch.no_grad()
    def collect(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take a snapshot.

        Args:
            weights: tensors of the names and shapes given at the start, of any precision.

        Raises:
            InvalidInputError: other names or shapes, or a NaN.
        """
        new = self.flatten(weights)
        if not torch.isfinite(new).all():
            raise invalid("weights", "finite", "NaN or infinity: training has diverged")
        self.count += 1
        step = new - self.mean
        self.mean += step / self.count
        away = new - self.mean
        self.squares += step * away
        kept = self.deviations[-(self.rank - 1) :]
        self.deviations = torch.cat([kept, away[None]])

    @property
    def variance(self) -> torch.Tensor:
        """(P,) population variance of the snapshots."""
        return self.squares / max(self.count, 1)

    def recentred(self) -> torch.Tensor:
        """(min(n, K), P) the same deviations from the mean of *all* snapshots.

        The mean moved by d_j / (j - 1) at snapshot j, so they follow from the kept ones.
        """
        rows = len(self.deviations)
        first = self.count - rows + 1  # the number of the oldest snapshot that is kept
        centred = self.deviations.clone()
        moved = torch.zeros_like(self.mean)
        for i in range(rows - 1, -1, -1):
            centred[i] -= moved
            number = first + i
            if number > 1:
                moved += self.deviations[i] / (number - 1)
        return centred

    def flatten(self, weights: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(P,) float32 values of the tensors.

        Raises:
            InvalidInputError: other names or shapes.
        """
        if set(weights) != set(self.shapes):
            odd = sorted(set(weights) ^ set(self.shapes))
            raise invalid("weights", "the same tensors as at the start", f"{odd[0]} is new or gone")
        for name, shape in self.shapes.items():
            if tuple(weights[name].shape) != shape:
                raise invalid(f"weights[{name}]", f"of shape {shape}", tuple(weights[name].shape))
        parts = [weights[name].detach().float().cpu().reshape(-1) for name in self.shapes]
        return torch.cat(parts)

    def unflatten(self, flat: torch.Tensor) -> dict[str, torch.Tensor]:
        """The tensors by name, of values (P,)."""
        sizes = [prod(shape) for shape in self.shapes.values()]
        parts = flat.split(sizes)
        return {n: p.reshape(s) for (n, s), p in zip(self.shapes.items(), parts, strict=True)}

    def state(self) -> dict[str, torch.Tensor]:
        """All that a checkpoint needs, beside shapes and rank."""
        return {
            "count": torch.tensor(self.count),
            "mean": self.mean,
            "squares": self.squares,
            "deviations": self.deviations,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`.

        Raises:
            InvalidInputError: it is of other weights or another rank.
        """
        size = len(self.mean)
        count, rows = int(state["count"]), state["deviations"].shape
        shapes_fit = state["mean"].shape == state["squares"].shape == (size,)
        if not shapes_fit or rows != (min(count, self.rank), size):
            raise invalid(
                "state",
                f"moments of {size:,} weights, rank {self.rank}",
                f"{state['mean'].numel():,} weights with {rows[0]} deviations of {count} snapshots",
            )
        self.count = count
        self.mean, self.squares = state["mean"].clone(), state["squares"].clone()
        self.deviations = state["deviations"].clone()
