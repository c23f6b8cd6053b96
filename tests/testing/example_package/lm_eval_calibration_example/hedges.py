"""`--model hedges`: an answer that hedges is taken to be less sure."""

from __future__ import annotations

import re
from typing import Any

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper

HEDGE = re.compile(r"\b(perhaps|maybe|probably|might|not sure|i think|i believe)\b", re.IGNORECASE)


class HedgesLM(BeliefWrapper):
    """Each hedge in an answer takes a third of its confidence.

    Args:
        base: `--model` of the one inside.
        **model_args: the base's.
    """

    source = "hedges"
    default_template = ""

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """The base's answers, each with its confidence."""
        answers = self.phases.forward("generate_until", requests)
        return [
            Envelope(self.source, text, confidence=0.9 * (2 / 3) ** len(HEDGE.findall(text)))
            for text in answers
        ]
