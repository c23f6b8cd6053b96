"""One request at a time, as any causal model of transformers runs: what cannot be packed is observed so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lm_eval_calibration.scoring.engine import Answered, Answers, Scored
from lm_eval_calibration.scoring.sequences import Request


@dataclass
class PlainEngine:
    """Scores requests by the model's own forward pass, and sees the state that its head reads.

    Attributes:
        model: a transformers causal model in evaluation mode.
        max_length: most tokens it reads; longer inputs lose their beginning.

    Raises:
        TypeError: the model has no head of its own.
    """

    model: Any
    max_length: int

    def __post_init__(self) -> None:
        self.head = self.model.get_output_embeddings()
        if self.head is None:
            raise TypeError("the model names no output embeddings")

    @torch.inference_mode()
    def score(
        self,
        requests: Sequence[Request],
        *,
        answered: Answered | None = None,
        observe: Callable[[Answers], None] | None = None,
    ) -> list[Scored]:
        """Log-likelihood of each request's continuation after its context; see `Engine.score`."""
        found = []
        for number, request in enumerate(requests):
            answers = self._answers(number, request)
            if observe is not None:
                observe(answers)
            found.append(Scored(float(answers.loglikelihood), bool(answers.is_greedy)))
            if answered is not None:
                answered({number: found[-1]})
        return found

    def _answers(self, number: int, request: Request) -> Answers:
        tokens = [*request.context, *request.continuation][-(self.max_length + 1) :][:-1]
        device = next(self.model.parameters()).device
        count = min(len(request.continuation), len(tokens))
        target = torch.as_tensor(request.continuation[-count:], device=device)
        read: list[torch.Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: read.append(given[0]))
        try:
            logits = self.model(torch.as_tensor(tokens, device=device)[None]).logits[0, -count:]
        finally:
            hook.remove()
        logp = logits.float().log_softmax(dim=-1)
        total = logp.gather(1, target[:, None]).sum()[None]
        greedy = (logits.argmax(dim=-1) == target).all()[None]
        hidden = read[-1].reshape(-1, read[-1].shape[-1])[-count][None]
        return Answers([number], total, greedy, hidden)
