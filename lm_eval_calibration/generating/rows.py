"""Texts that are asked for, and those that are being written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lm_eval_calibration.generating.decoding import Decoding
from lm_eval_calibration.generating.stops import Stops


@dataclass(frozen=True, eq=False)
class AskedText:
    """A text that is asked for.

    Attributes:
        prompt: tokens before it; one at least.
        decoding: how its tokens are chosen.
        stops: strings that end it.
        room: its most tokens.
        seed: of what is drawn for it.
        told: whether scores of its tokens are to be told.
    """

    prompt: Sequence[int]
    decoding: Decoding
    stops: Stops
    room: int
    seed: int = 0
    told: bool = False


@dataclass(eq=False)
class TextRow:
    """A text that is being written.

    Attributes:
        number: of what was asked for.
        asked: that.
        new: its tokens so far.
        scores: log-probability, margin and entropy at each, where they are to be told.
    """

    number: int
    asked: AskedText
    new: list[int] = field(default_factory=list)
    scores: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def read(self) -> int:
        """Tokens that the model has read: all but the last."""
        return len(self.asked.prompt) + max(len(self.new) - 1, 0)

    @property
    def ended(self) -> bool:
        """Whether its last token ends a text."""
        return bool(self.new) and self.new[-1] in self.asked.decoding.ends

    @property
    def full(self) -> bool:
        """Whether its room is used up."""
        return len(self.new) >= self.asked.room


@dataclass(frozen=True)
class Written:
    """A finished text.

    Attributes:
        tokens: all of it, with the one that ended it.
        cut: whether it ended because its room was used up.
        scores: log-probability, margin and entropy at each token, where they were asked for.
    """

    tokens: list[int]
    cut: bool
    scores: list[tuple[float, float, float]]
