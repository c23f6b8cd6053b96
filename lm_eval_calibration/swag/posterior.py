"""Draws from the Gaussian that the moments describe: low rank plus diagonal."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Literal

import torch

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.swag.moments import Moments

SMALLEST_VARIANCE = 1e-30


@dataclass(frozen=True)
class Draw:
    """How weights are drawn.

    Attributes:
        scale: of the covariance. 0.5 is SWAG with both parts (Maddox et al., 2019, equation 1), 1
            SWAG-Diagonal, 0 the mean (SWA).
        low_rank: whether the deviations' covariance is in it.
        diagonal: whether each weight's own variance is.
        centring: `running`, deviations from the mean that was then (the paper's code); `final`,
            from the mean of all.
        tensors: pattern of the names that vary, e.g. `*lora_A*`; the others stay at the mean.
    """

    scale: float = 0.5
    low_rank: bool = True
    diagonal: bool = True
    centring: Literal["running", "final"] = "running"
    tensors: str = "*"

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if not self.scale >= 0:
            raise invalid("scale", "0 or more", self.scale)
        if self.centring not in ("running", "final"):
            raise invalid("centring", "running or final", f"`{self.centring}`")
        if not (self.low_rank or self.diagonal or self.scale == 0):
            raise invalid("low_rank", "true where `diagonal` is not", "neither")


class Posterior:
    """N(mean, scale (variance + D^T D / (rows - 1))) over the weights of `moments`.

    Args:
        moments: of at least two snapshots.
        draw: how weights are drawn.

    Raises:
        InvalidInputError: fewer than two snapshots, or no tensor of the pattern's names.
    """

    def __init__(self, moments: Moments, draw: Draw = Draw()) -> None:
        if moments.count < 2:
            raise invalid("moments", "of at least two snapshots", moments.count)
        self.moments, self.draw = moments, draw
        self.varies = torch.cat(
            [
                torch.full((tensor.numel(),), fnmatch(name, draw.tensors))
                for name, tensor in moments.unflatten(moments.mean).items()
            ]
        )
        if not self.varies.any():
            raise invalid("tensors", f"one of {', '.join(moments.shapes)}", f"`{draw.tensors}`")
        self.spread = moments.variance.clamp_min(SMALLEST_VARIANCE).sqrt()
        final = draw.centring == "final"
        self.deviations = moments.recentred() if final else moments.deviations

    def sample(self, number: int, member: int = 0, seed: int = 0) -> dict[str, torch.Tensor]:
        """Weights by name: the same for the same three numbers, on any machine's CPU.

        One vector of noise for the low-rank part couples all tensors; the diagonal part has one of
        its own for every weight.
        """
        generator = torch.Generator().manual_seed(seed_of(seed, member, number))
        noise = torch.zeros_like(self.moments.mean)
        if self.draw.diagonal:
            noise += self.spread * torch.randn(len(noise), generator=generator)
        if self.draw.low_rank:
            rows = len(self.deviations)
            noise += torch.randn(rows, generator=generator) @ self.deviations / (rows - 1) ** 0.5
        noise = torch.where(self.varies, noise, 0.0)
        return self.moments.unflatten(self.moments.mean + self.draw.scale**0.5 * noise)


def seed_of(*numbers: int) -> int:
    """A seed that no two different triples are likely to share."""
    digest = hashlib.sha256(",".join(map(str, numbers)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
