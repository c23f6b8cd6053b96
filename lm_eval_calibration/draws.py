"""Answers of a model that is several models: what each of its draws said of a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import softmax

from lm_eval_calibration.predictions import Floats


class DrawnAnswer(tuple[float, bool]):
    """The harness's answer to a request, `(loglikelihood, is_greedy)`, with those it is made of.

    Attributes:
        draws: (M, S) log-likelihoods in nats, of S draws of each of M members.
    """

    draws: Floats

    def __new__(cls, loglikelihood: float, is_greedy: bool, draws: Floats) -> DrawnAnswer:
        """A tuple of the first two."""
        answer = super().__new__(cls, (loglikelihood, is_greedy))
        answer.draws = draws
        return answer

    def __getnewargs__(self) -> tuple[float, bool, Floats]:
        """How it is copied, and sent to another process."""
        return (self[0], self[1], self.draws)


def drawn_probabilities(answers: Sequence[Any]) -> Floats | None:
    """(M, S, K) probabilities over a document's K options by each draw; `None` without draws."""
    found = [getattr(answer, "draws", None) for answer in answers]
    drawn = [each for each in found if each is not None]
    if not drawn or len(drawn) < len(found):
        return None
    return np.asarray(softmax(np.stack(drawn, axis=-1), axis=-1))
