"""What draws say of a document, made one: options' probabilities, and hidden states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp

from lm_eval_calibration.predictions import Floats
from lm_eval_calibration.scoring.contract import Answers


def averaged(drawn: list[Any], options: list[list[int]]) -> Floats:
    """(K,) log of the averaged probabilities of options, plus the draws' mean total."""
    if not options:
        return np.empty(0)
    logits = np.stack([drawn[numbers[0]].draws.reshape(-1) for numbers in options], axis=-1)
    if len(logits) == 1:
        return np.asarray(logits[0])
    if len(options) == 1:
        return np.asarray(logsumexp(logits, axis=0) - np.log(len(logits)))
    averaged = logsumexp(log_softmax(logits, axis=-1), axis=0) - np.log(len(logits))
    return np.asarray(averaged + logsumexp(logits, axis=-1).mean())


class States:
    """Hidden states of all draws, averaged before an observer sees them."""

    def __init__(self, observe: Callable[[Answers], None] | None) -> None:
        self.observe = observe
        self.sums: dict[int, torch.Tensor] = {}

    def take(self, found: Answers) -> None:
        """Add one pass of one draw."""
        if self.observe is not None:
            for number, state in zip(found.requests, found.hidden.float(), strict=True):
                self.sums[number] = self.sums.get(number, 0.0) + state

    def tell(self, draws: int) -> None:
        """Show the averages."""
        if self.observe is not None and self.sums:
            empty = torch.empty(0)
            states = torch.stack([total / draws for total in self.sums.values()])
            self.observe(Answers(list(self.sums), empty, empty, states))
