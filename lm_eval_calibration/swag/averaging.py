"""What draws say of a document, made one: options' probabilities, and hidden states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp

from lm_eval_calibration.draws import DrawnAnswer
from lm_eval_calibration.predictions import Floats
from lm_eval_calibration.scoring.contract import Answers


def answers_of(drawn: list[Any], documents: Sequence[Any]) -> list[Any]:
    """Answers to all requests, of which documents' options have their averaged probabilities.

    Args:
        drawn: `DrawnAnswer` of each request.
        documents: with the numbers of the requests of their `options`, and of `unconditional` ones.
    """
    answers = list(drawn)
    for document in documents:
        for options in (document.options, [[number] for number in document.unconditional]):
            for numbers, value in zip(options, averaged(drawn, options), strict=True):
                for number in numbers:
                    one = drawn[number]
                    answers[number] = DrawnAnswer(float(value), one[1], one.draws)
    return answers


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
