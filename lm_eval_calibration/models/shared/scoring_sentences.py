"""A fitted scorer of sentences with its encoder, as models use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.encoders import Encoder
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.responses import Response, bags_of
from lm_eval_calibration.fractal.scorer import SentenceScorer
from lm_eval_calibration.fractal.sentences import split


class ScoredResponse(NamedTuple):
    """A response's sentences, their scores, and the confidence in the whole."""

    sentences: tuple[str, ...]
    scores: tuple[float, ...]
    confidence: float


class ScorerWithEncoder:
    """Cuts responses up, encodes them and scores them.

    Args:
        folder: of `lm-calib fit fractal`.
        encoder: in place of the one that the scorer names, e.g. a folder it was copied to; "".
        store: folder in which embeddings are kept, or "".
        device: of the encoder, or `None`.

    Raises:
        InvalidInputError: no scorer can be read there.
    """

    def __init__(
        self, folder: str, encoder: str = "", store: str = "", device: str | None = None
    ) -> None:
        if not folder:
            raise invalid("scorer", "a folder of `lm-calib fit fractal`", "none")
        self.scorer = SentenceScorer.from_pretrained(folder)
        name = encoder or self.scorer.reading.encoder
        self._encoder = Encoder(name, Path(store) if store else None, device)

    @property
    def encoder(self) -> str:
        """The encoder's name."""
        return self._encoder.name

    @property
    def reading(self) -> SentenceReading:
        """How responses are cut up and encoded."""
        return self.scorer.reading

    def split(self, text: str) -> tuple[str, ...]:
        """As the responses it was fitted on."""
        return tuple(split(text, self.reading.split))

    def score(self, responses: Sequence[Response]) -> list[ScoredResponse]:
        """Scores of responses that were cut up."""
        if not responses:
            return []
        bags = bags_of(responses, self._encoder, self.reading)
        scores = np.split(self.scorer.scores(bags), bags.offsets[1:-1])
        return [
            ScoredResponse(r.sentences, tuple(s.tolist()), float(c))
            for r, s, c in zip(responses, scores, self.scorer.confidences(bags), strict=True)
        ]
