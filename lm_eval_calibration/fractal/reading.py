"""How responses are cut up and shown to the encoder."""

from __future__ import annotations

from dataclasses import dataclass

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.sentences import SPLITTERS


@dataclass(frozen=True)
class SentenceReading:
    """How texts become what the network sees.

    Attributes:
        encoder: name or folder of the sentence encoder.
        split: see `sentences.split`.
        preceding: whether the sentences before each one are shown with it.
        in_context: whether each is read after the question and the sentences before it, in one text:
            of a language model the embedding is its state at the sentence's end.
    """

    encoder: str
    split: str = "sentences"
    preceding: bool = False
    in_context: bool = False

    def __post_init__(self) -> None:
        """Refuse what texts cannot be split into."""
        if self.split not in SPLITTERS:
            raise invalid("split", " or ".join(SPLITTERS), f"`{self.split}`")
        if self.preceding and self.in_context:
            raise invalid("preceding", "without --in_context, which has them already", "both")
