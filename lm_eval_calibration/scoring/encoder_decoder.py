"""Encoder-decoder models: the encoder runs once for each context, however many options it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutput

from lm_eval_calibration.scoring.engine import BATCH_TOKENS, Answered, Scored
from lm_eval_calibration.scoring.sequences import Request, check

Group = tuple[tuple[int, ...], list[int]]
"""A context's tokens, and the numbers of its requests."""


@dataclass
class EncoderDecoderEngine:
    """Scores requests on a model such as T5.

    Attributes:
        model: a transformers encoder-decoder model in evaluation mode.
        max_length: most tokens of a context; longer ones lose their beginning, as with `hf`.
        batch_tokens: tokens computed at a time, contexts and options; halved when memory runs out.
    """

    model: Any
    max_length: int
    batch_tokens: int = BATCH_TOKENS

    def __post_init__(self) -> None:
        self.encoder = self.model.get_encoder()
        self.device = next(self.model.parameters()).device
        self.dtype = next(self.model.parameters()).dtype

    @torch.inference_mode()
    def score(
        self,
        requests: Sequence[Request],
        *,
        answered: Answered | None = None,
    ) -> list[Scored]:
        """Log-likelihood of each continuation given its context, in order; see `Engine.score`."""
        check(requests, self.max_length)
        by_context: dict[tuple[int, ...], list[int]] = {}
        for number, (context, _) in enumerate(requests):
            by_context.setdefault(tuple(context[-self.max_length :]), []).append(number)
        groups = sorted(by_context.items(), key=lambda group: len(group[0]), reverse=True)
        answers: dict[int, Scored] = {}
        for batch in self._batches(groups, requests):
            new = dict(self._score(batch, requests))
            answers |= new
            if answered is not None:
                answered(new)
        return [answers[number] for number in range(len(requests))]

    def _batches(
        self, groups: Sequence[Group], requests: Sequence[Request]
    ) -> Iterator[list[Group]]:
        batch: list[Group] = []
        size = 0
        for context, numbers in groups:
            cost = len(context) + sum(len(requests[n].continuation) for n in numbers)
            if batch and size + cost > self.batch_tokens:
                yield batch
                batch, size = [], 0
            batch.append((context, numbers))
            size += cost
        if batch:
            yield batch

    def _score(self, batch: list[Group], requests: Sequence[Request]) -> list[tuple[int, Scored]]:
        try:
            return self._scored(batch, requests)
        except (torch.OutOfMemoryError, MemoryError):
            if len(batch) == 1:
                raise
            self.batch_tokens = max(1, self.batch_tokens // 2)
            half = len(batch) // 2
            return self._score(batch[:half], requests) + self._score(batch[half:], requests)

    def _scored(self, batch: list[Group], requests: Sequence[Request]) -> list[tuple[int, Scored]]:
        contexts, mask = self._padded([context for context, _ in batch])
        hidden = self.encoder(input_ids=contexts, attention_mask=mask).last_hidden_state
        numbers = [n for _, group in batch for n in group]
        row = [b for b, (_, group) in enumerate(batch) for _ in group]
        # `hf` cuts what the decoder reads, never what it is asked for.
        targets, real = self._padded([requests[n].continuation for n in numbers])
        logits = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden[row]),
            attention_mask=mask[row],
            labels=targets,
        ).logits.float()
        logp = logits.log_softmax(dim=-1).gather(2, targets[..., None])[..., 0]
        total = torch.where(real.bool(), logp, 0.0).sum(dim=1)
        greedy = ((logits.argmax(dim=-1) == targets) | ~real.bool()).all(dim=1)
        return [
            (number, Scored(float(value), bool(best)))
            for number, value, best in zip(numbers, total, greedy, strict=True)
        ]

    def _padded(self, sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, L) tokens, 0 at the right of the shorter ones, and 1 where tokens are."""
        tokens = [torch.tensor(list(s), dtype=torch.long) for s in sequences]
        ones = [torch.ones_like(t) for t in tokens]
        return tuple(pad_sequence(t, batch_first=True).to(self.device) for t in (tokens, ones))
