"""Encoder-decoder models: the encoder runs once for each context, however many options it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutput

from lm_eval_calibration.scoring.contract import Answers, Executor
from lm_eval_calibration.scoring.head import Head
from lm_eval_calibration.scoring.sequences import Request, check

Group = tuple[tuple[int, ...], list[int], int]
"""A context's tokens, the numbers of its requests, and the tokens of all these."""
NO_TARGET = -100
"""What models that shift their targets themselves take for padding, whatever their padding token is."""


class EncoderDecoder(Executor[Group]):
    """Contexts with their options on a model such as T5.

    Its contexts lose their beginnings where they are too long, as with `hf`. Hidden states are the
    decoder's at its first place, which the vocabulary matrix reads; none where a model names no such
    matrix.
    """

    def __post_init__(self) -> None:
        self.encoder = self.model.get_encoder()
        named = self.model.get_output_embeddings() is not None
        self.head = Head(self.model, self.precision) if named else None

    def plan(self, requests: Sequence[Request]) -> list[Group]:
        """Each context with its requests, the longest first."""
        check(requests, self.max_length)
        by_context: dict[tuple[int, ...], list[int]] = {}
        for number, (context, _) in enumerate(requests):
            by_context.setdefault(tuple(context[-self.max_length :]), []).append(number)
        groups = [
            (context, numbers, len(context) + sum(len(requests[n].continuation) for n in numbers))
            for context, numbers in by_context.items()
        ]
        return sorted(groups, key=lambda group: len(group[0]), reverse=True)

    def batches(self, plan: Sequence[Group]) -> Iterator[list[Group]]:
        """Contexts of about one length."""
        batch: list[Group] = []
        size = 0
        for group in plan:
            if batch and size + group[2] > self.batch_tokens:
                yield batch
                batch, size = [], 0
            batch.append(group)
            size += group[2]
        if batch:
            yield batch

    def computing(self, requests: Sequence[Request]) -> Callable[[list[Group]], Answers]:
        """By one pass of the encoder and one of the decoder."""
        return lambda batch: self._answers(batch, requests)

    def _answers(self, batch: list[Group], requests: Sequence[Request]) -> Answers:
        hidden, mask = self._encoded([context for context, _, _ in batch])
        numbers = [n for _, group, _ in batch for n in group]
        row = [b for b, (_, group, _) in enumerate(batch) for _ in group]
        # `hf` cuts what the decoder reads, never what it is asked for.
        targets, real = self._padded([requests[n].continuation for n in numbers], NO_TARGET)
        states, output = self._decoded(
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden[row]),
            attention_mask=mask[row],
            labels=targets,
        )
        logits = output.logits.to(self.precision)
        asked = targets.clamp(min=0)
        logp = logits.log_softmax(dim=-1).gather(2, asked[..., None])[..., 0]
        total = torch.where(real.bool(), logp, 0.0).sum(dim=1)
        greedy = ((logits.argmax(dim=-1) == asked) | ~real.bool()).all(dim=1)
        return Answers(numbers, total, greedy, states)

    def _encoded(self, contexts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, L, H) the encoder's states, and 1 where tokens are."""
        tokens, mask = self._padded(contexts, 0)
        return self.encoder(input_ids=tokens, attention_mask=mask).last_hidden_state, mask

    def _decoded(self, **inputs: Any) -> tuple[torch.Tensor, Any]:
        """States (B, H) that the head reads at the decoder's first place, and the pass's output."""
        if self.head is not None:
            try:
                states, output = self.head.read(keep=None, **inputs)
            except TypeError:  # (the matrix is used otherwise)
                self.head = None
            else:
                return states[:, 0], output
        output = self.model(**inputs)
        return output.logits.new_empty((len(output.logits), 0)), output

    def _padded(
        self, sequences: Sequence[Sequence[int]], value: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, L) tokens, `value` at the right of the shorter ones, and 1 where tokens are."""
        tokens = [torch.tensor(list(s), dtype=torch.long) for s in sequences]
        ones = pad_sequence([torch.ones_like(t) for t in tokens], batch_first=True)
        padded = pad_sequence(tokens, batch_first=True, padding_value=value)
        return padded.to(self.device), ones.to(self.device)


class EncoderDecoderAlone(EncoderDecoder):
    """Each context and each continuation by itself: the same bits in any company."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._last: tuple[tuple[int, ...], tuple[torch.Tensor, torch.Tensor]] | None = None

    def plan(self, requests: Sequence[Request]) -> list[Group]:
        """Each request, those of a context together."""
        return [
            (context, [n], size)
            for context, numbers, size in super().plan(requests)
            for n in numbers
        ]

    def batches(self, plan: Sequence[Group]) -> Iterator[list[Group]]:
        """One each."""
        return ([group] for group in plan)

    def computing(self, requests: Sequence[Request]) -> Callable[[list[Group]], Answers]:
        """By one pass of the encoder for each context."""
        self._last = None  # (of other weights)
        return super().computing(requests)

    def _encoded(self, contexts: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        (context,) = map(tuple, contexts)
        if self._last is None or self._last[0] != context:
            self._last = (context, super()._encoded(contexts))
        return self._last[1]
