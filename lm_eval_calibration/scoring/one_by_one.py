"""One request at a time, as any causal model of transformers runs: for what nothing else can compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from lm_eval_calibration.scoring.contract import Answers, Executor
from lm_eval_calibration.scoring.head import Head, arguments_of
from lm_eval_calibration.scoring.sequences import Request, check


@dataclass
class OneByOne(Executor[int]):
    """Requests by the model's own forward pass, with the states that its head reads.

    Attributes:
        padding: tokens behind each input, as far as the model reads so many.
    """

    padding: int = 0

    def __post_init__(self) -> None:
        self.head = Head(self.model, self.precision)

    def plan(self, requests: Sequence[Request]) -> list[int]:
        """Their numbers."""
        check(requests, self.max_length)
        return list(range(len(requests)))

    def batches(self, plan: Sequence[int]) -> Iterator[list[int]]:
        """One each."""
        return ([number] for number in plan)

    def computing(self, requests: Sequence[Request]) -> Callable[[list[int]], Answers]:
        """By a pass of its own, whose logits are the model's."""

        def compute(batch: list[int]) -> Answers:
            (number,) = batch
            request = requests[number]
            tokens = [*request.context, *request.continuation][-(self.max_length + 1) :][:-1]
            count = min(len(request.continuation), len(tokens))
            target = torch.as_tensor(request.continuation[-count:], device=self.device)
            inputs = torch.as_tensor(tokens, dtype=torch.long, device=self.device)[None]
            places = slice(len(tokens) - count, len(tokens))
            hidden, output = self.head.read(keep=None, **self._padded(inputs))
            logits = output.logits[0, places]
            logp = logits.log_softmax(dim=-1, dtype=self.precision)
            total = logp.gather(1, target[:, None]).sum()[None]
            greedy = (logits.argmax(dim=-1) == target).all()[None]
            return Answers(batch, total, greedy, hidden.flatten(0, -2)[places][:1])

        return compute

    def _padded(self, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """(1, L) tokens with the padding behind them, and its mask."""
        more = max(min(self.padding, self.max_length - inputs.shape[1]), 0)
        if not more:
            return {"input_ids": inputs}
        mask = torch.ones_like(inputs)
        padded = {"input_ids": pad(inputs, (0, more)), "attention_mask": pad(mask, (0, more))}
        return {name: value for name, value in padded.items() if name in arguments_of(self.model)}
