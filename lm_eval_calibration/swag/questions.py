"""Documents with options as tokens, and the loss of a model on them in one packed pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from lm_eval_calibration.scoring.contract import Executor
from lm_eval_calibration.scoring.sequences import Request


class OptionQuestion(NamedTuple):
    """A document: each option after its context, and the numbers of the right ones."""

    options: list[Request]
    gold: tuple[int, ...]


def option_scores(executor: Executor[Any], questions: Sequence[OptionQuestion]) -> torch.Tensor:
    """(N, K) log-likelihoods of options in nats, -inf beyond a document's; differentiable."""
    requests = [option for question in questions for option in question.options]
    found = list(executor.passes(requests))
    values = torch.cat([answers.loglikelihood for answers in found])
    order = torch.tensor([number for answers in found for number in answers.requests])
    return _padded(values[order.argsort().to(values.device)], questions)


def cross_entropy(scores: torch.Tensor, questions: Sequence[OptionQuestion]) -> torch.Tensor:
    """(N,) -log of the right options' probability among a document's, of scores (N, K)."""
    right = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    for row, question in enumerate(questions):
        right[row, list(question.gold)] = True
    return scores.logsumexp(dim=1) - scores.masked_fill(~right, -torch.inf).logsumexp(dim=1)


@torch.inference_mode()
def evaluate(executor: Executor[Any], questions: Sequence[OptionQuestion]) -> torch.Tensor:
    """(N, K) log-likelihoods of options without a graph, for documents of any number."""
    requests = [option for question in questions for option in question.options]
    scored = executor.score(requests)
    return _padded(torch.tensor([answer.loglikelihood for answer in scored]), questions)


def _padded(values: torch.Tensor, questions: Sequence[OptionQuestion]) -> torch.Tensor:
    counts = [len(question.options) for question in questions]
    columns = torch.cat([torch.arange(count) for count in counts])
    rows = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    empty = torch.full((len(counts), max(counts)), -torch.inf, device=values.device)
    return empty.index_put((rows.to(values.device), columns.to(values.device)), values.float())
