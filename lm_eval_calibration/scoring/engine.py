"""Log-likelihoods of continuations, each token that requests share computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from lm_eval_calibration.scoring.network import KeyValues, Network
from lm_eval_calibration.scoring.plan import Prefix, Row, batches, plan_rows
from lm_eval_calibration.scoring.sequences import Request, inputs_of

BATCH_TOKENS = 2048
LOGIT_ELEMENTS = 1 << 24
"""Elements of the logits that are made at a time: 64 MB in float32."""


class Scored(NamedTuple):
    """The harness's answer to a request: log-likelihood in nats, and whether greedy decoding agrees."""

    loglikelihood: float
    is_greedy: bool


Answered = Callable[[Mapping[int, Scored]], None]
"""What is told answers as they come, by the numbers of their requests."""


class Answers(NamedTuple):
    """What one batch answers, R requests.

    requests: their numbers; loglikelihood (R,) in nats, float32; is_greedy (R,); hidden (R, H) the
    last layer's state at the last token of each context, where THERMOMETER reads its features.
    """

    requests: list[int]
    loglikelihood: torch.Tensor
    is_greedy: torch.Tensor
    hidden: torch.Tensor


@dataclass
class Engine:
    """Scores requests on a causal language model.

    Attributes:
        model: a transformers causal model in evaluation mode.
        max_length: most tokens it reads; longer inputs lose their beginning.
        batch_tokens: tokens computed at a time; halved when memory runs out.
    """

    model: Any
    max_length: int
    batch_tokens: int = BATCH_TOKENS

    def __post_init__(self) -> None:
        self.network = Network(self.model)
        self.dtype = self.network.dtype

    @torch.inference_mode()
    def score(
        self,
        requests: Sequence[Request],
        *,
        rows: Sequence[Row] | None = None,
        answered: Answered | None = None,
        observe: Callable[[Answers], None] | None = None,
    ) -> list[Scored]:
        """Log-likelihood of each request's continuation after its context, in order.

        Args:
            requests: neither contexts nor continuations may be empty.
            rows: their `plan`, where it has been made.
            answered: called after each pass with its answers, by the numbers of their requests.
            observe: called before that with what the pass found, hidden states included.
        """
        answers: dict[int, Scored] = {}
        for found in self.passes(requests, rows):
            if observe is not None:
                observe(found)
            values = map(Scored, found.loglikelihood.tolist(), found.is_greedy.tolist())
            new = dict(zip(found.requests, values, strict=True))
            answers |= new
            if answered is not None:
                answered(new)
        return [answers[number] for number in range(len(requests))]

    def plan(self, requests: Sequence[Request], **options: int) -> list[Row]:
        """What is computed together; it serves any weights of the model.

        Args:
            requests: neither contexts nor continuations may be empty.
            options: of `plan_rows`.
        """
        return plan_rows(inputs_of(requests, self.max_length), **options)

    def passes(
        self, requests: Sequence[Request], rows: Sequence[Row] | None = None
    ) -> Iterator[Answers]:
        """The same batch by batch, as tensors: differentiable where gradients are enabled.

        Args and order as `score`, but requests come as the batches have them.
        """
        rows = self.plan(requests) if rows is None else rows
        cached = _Cached(self.network)
        for batch in batches(rows, lambda: self.batch_tokens):
            yield from self._pass(batch, cached.of(batch[0].prefix), requests)

    def _pass(
        self, batch: list[Row], before: KeyValues, requests: Sequence[Request]
    ) -> Iterator[Answers]:
        try:
            answers = self._answers(batch, before, requests)
        except (torch.OutOfMemoryError, MemoryError):
            if len(batch) == 1:
                raise
            self.batch_tokens = max(1, self.batch_tokens // 2)
            half = len(batch) // 2
            for part in (batch[:half], batch[half:]):
                yield from self._pass(part, before, requests)
            return
        yield answers

    def _answers(self, batch: list[Row], before: KeyValues, requests: Sequence[Request]) -> Answers:
        hidden = self.network.hidden(batch, before).flatten(0, 1)
        numbers, places, targets, counts = _targets(batch, requests)
        device = hidden.device
        at = torch.as_tensor(places, device=device)
        logp, greedy = self._token_scores(hidden, at, torch.as_tensor(targets, device=device))
        count = torch.as_tensor(counts, device=device)
        owner = torch.repeat_interleave(torch.arange(len(counts), device=device), count)
        total = torch.zeros(len(counts), device=device).index_add(0, owner, logp)
        right = torch.zeros_like(count).index_add(0, owner, greedy.to(count.dtype))
        first = at[count.cumsum(0) - count]
        return Answers(numbers, total, right == count, hidden[first])

    def _token_scores(
        self, hidden: torch.Tensor, places: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(T,) log-probability of each target after the token at its place, and whether it is best.

        Several targets after one token share its row of logits.
        """
        distinct, which = torch.unique(places, return_inverse=True)
        logp = torch.zeros(len(targets), dtype=torch.float32, device=hidden.device)
        greedy = torch.zeros(len(targets), dtype=torch.bool, device=hidden.device)
        size = max(1, LOGIT_ELEMENTS // self.network.head.weight.shape[0])
        for start in range(0, len(distinct), size):
            logits = self.network.logits(hidden[distinct[start : start + size]])
            here = ((which >= start) & (which < start + size)).nonzero()[:, 0]
            rows, columns = which[here] - start, targets[here]
            # `hf` calls log_softmax, whose rounding (1e-5 a token on a CPU) is thus the same here.
            logp = logp.index_put((here,), logits.log_softmax(dim=1)[rows, columns])
            greedy[here] = logits.argmax(dim=1)[rows] == columns
        return logp, greedy


def _targets(
    batch: Sequence[Row], requests: Sequence[Request]
) -> tuple[list[int], np.ndarray, np.ndarray, list[int]]:
    """Of a batch's R requests: their numbers, flat places (T,) in the padded batch, next tokens (T,).

    And how many of the T each has.
    """
    longest = max(map(len, batch))
    numbers, places, targets, counts = [], [], [], []
    for b, row in enumerate(batch):
        for tokens, path in zip(row.inputs, row.paths, strict=True):
            for number in tokens.requests:
                continuation = requests[number].continuation
                count = min(len(continuation), len(tokens))
                numbers.append(number)
                places.append(b * longest + path[-count:])
                targets.append(np.asarray(continuation[-count:], dtype=np.int64))
                counts.append(count)
    return numbers, np.concatenate(places), np.concatenate(targets), counts


class _Cached:
    """Keys and values of the prefix at hand and of its parents; others are forgotten."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.chain: list[tuple[Prefix, KeyValues]] = []

    def of(self, prefix: Prefix | None) -> KeyValues:
        if prefix is None:
            return []
        while self.chain and not _leads_to(self.chain[-1][0], prefix):
            self.chain.pop()
        if self.chain and self.chain[-1][0] is prefix:
            return self.chain[-1][1]
        found = self.network.key_values(prefix, self.of(prefix.parent))
        self.chain.append((prefix, found))
        return found


def _leads_to(prefix: Prefix, other: Prefix) -> bool:
    """Whether `prefix` is `other` or one of its parents."""
    node: Prefix | None = other
    while node is not None:
        if node is prefix:
            return True
        node = node.parent
    return False
