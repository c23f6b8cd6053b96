"""Which weights an evaluation averages over: the paper's comparison, from the same members."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from lm_eval_calibration.errors import invalid, unknown_name
from lm_eval_calibration.swag.artifact import Member
from lm_eval_calibration.swag.lora import Weights
from lm_eval_calibration.swag.posterior import Draw, Posterior, seed_of

POSTERIORS = {
    "map": "the best single weights of one member",
    "mc_dropout": "the same, with LoRA's dropout left on",
    "ensemble": "the best single weights of every member",
    "swa": "the mean of one member's snapshots",
    "swag": "draws from one member's posterior",
    "multiswag": "draws from every member's",
}
ALL_MEMBERS = ("ensemble", "multiswag")


class WeightSet(NamedTuple):
    """One set of weights to evaluate: whose it is, which draw, and the dropout's seed, if any."""

    member: int
    sample: int
    weights: Weights
    dropout: int | None


@dataclass(frozen=True)
class Mixture:
    """What is averaged.

    Attributes:
        members: trained members.
        method: one of `POSTERIORS`; "" for `swag`, or `multiswag` where there are several.
        samples: S, draws of each member; 0 for its mean.
        draw: how they are drawn, but for the scale.
        scale: of the covariance; `None` for each member's own.
        member: which one, where the method takes one.
        seed: of the draws.

    Raises:
        InvalidInputError: an unknown method or member, or a negative number of samples.
    """

    members: Sequence[Member]
    method: str = ""
    samples: int = 15
    draw: Draw = field(default_factory=Draw)
    scale: float | None = None
    member: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        if not self.method:
            chosen = "multiswag" if len(self.members) > 1 else "swag"
            object.__setattr__(self, "method", chosen)
        if self.method not in POSTERIORS:
            raise unknown_name("method", self.method, POSTERIORS)
        least = 1 if self.method == "mc_dropout" else 0
        if not isinstance(self.samples, int) or self.samples < least:
            raise invalid("samples", f"a whole number, at least {least}", self.samples)
        if not 0 <= self.member < len(self.members):
            raise invalid("member", f"from 0 to {len(self.members) - 1}", self.member)
        for scale in self.scales:  # what cannot be drawn fails here
            Posterior(self.members[self.member].moments, replace(self.draw, scale=scale))

    @property
    def numbers(self) -> list[int]:
        """The members that take part."""
        return list(range(len(self.members))) if self.method in ALL_MEMBERS else [self.member]

    @property
    def scales(self) -> list[float]:
        """Of each of them."""
        own = [self.members[number].scale for number in self.numbers]
        return own if self.scale is None else [self.scale] * len(own)

    @property
    def shape(self) -> tuple[int, int]:
        """(M, S) members and draws of each; draws at scale 0 are all the mean, and one is made."""
        drawn = self.method == "mc_dropout" or (
            self.method in ("swag", "multiswag") and self.samples and any(self.scales)
        )
        return len(self.numbers), self.samples if drawn else 1

    def say_if_a_point(self, say: Callable[[str], None]) -> None:
        """Tell that the draws that were asked for are all one set of weights."""
        wanted = self.method in ("swag", "multiswag") and self.samples > 1
        if wanted and not any(self.scales):
            say(
                f"The posterior is a point (scale 0 was best when it was fitted): {self.samples} draws of it would be "
                "alike, so its mean is used, and there are no rows of uncertainty. scale=0.5 spreads it."
            )

    def weight_sets(self) -> Iterator[WeightSet]:
        """Member by member, draw by draw; one is in memory at a time."""
        for number, scale in zip(self.numbers, self.scales, strict=True):
            member = self.members[number]
            posterior = None
            if self.method in ("swag", "multiswag") and self.samples:
                posterior = Posterior(member.moments, replace(self.draw, scale=scale))
            for sample in range(self.shape[1]):
                if posterior is not None:
                    weights = posterior.sample(sample, number, self.seed)
                elif self.method in ("swa", "swag", "multiswag"):
                    weights = member.mean
                else:
                    weights = member.best
                seed = seed_of(self.seed, number, sample) if self.method == "mc_dropout" else None
                yield WeightSet(number, sample, weights, seed)
