"""Log-likelihoods of continuations, each token that requests share computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    @torch.inference_mode()
    def score(
        self,
        requests: Sequence[Request],
        *,
        progress: Callable[[int], None] | None = None,
        **plan: int,
    ) -> list[Scored]:
        """Log-likelihood of each request's continuation after its context, in order.

        Args:
            requests: neither contexts nor continuations may be empty.
            progress: called with the number of requests answered since the last call.
            plan: options of `plan_rows`.
        """
        answers: list[Scored | None] = [None] * len(requests)
        rows = plan_rows(inputs_of(requests, self.max_length), **plan)
        cached = _Cached(self.network)
        for batch in batches(rows, lambda: self.batch_tokens):
            before = cached.of(batch[0].prefix)
            self._answer(batch, before, requests, answers, progress)
        return answers  # type: ignore[return-value]

    def _answer(
        self,
        batch: list[Row],
        before: KeyValues,
        requests: Sequence[Request],
        answers: list[Scored | None],
        progress: Callable[[int], None] | None,
    ) -> None:
        try:
            found = self._score_batch(batch, before, requests)
        except (torch.OutOfMemoryError, MemoryError):
            if len(batch) == 1:
                raise
            half = len(batch) // 2
            self.batch_tokens = max(1, self.batch_tokens // 2)
            for part in (batch[:half], batch[half:]):
                self._answer(part, before, requests, answers, progress)
            return
        for number, scored in found:
            answers[number] = scored
        if progress is not None:
            progress(len(found))

    def _score_batch(
        self, batch: list[Row], before: KeyValues, requests: Sequence[Request]
    ) -> list[tuple[int, Scored]]:
        hidden = self.network.hidden(batch, before)
        places, targets, owners = _targets(batch, requests)
        at = torch.as_tensor(places, device=hidden.device)
        logp, greedy = self._token_scores(hidden.flatten(0, 1), at, targets)
        bounds = np.cumsum([0, *(count for _, count in owners)])
        return [
            (number, Scored(float(logp[a:b].sum()), bool(greedy[a:b].all())))
            for (number, _), a, b in zip(owners, bounds[:-1], bounds[1:], strict=True)
        ]

    def _token_scores(
        self, hidden: torch.Tensor, places: torch.Tensor, targets: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(T,) log-probability of each target after the token at its place, and whether it is best.

        Several targets after one token share its row of logits.
        """
        distinct, which = torch.unique(places, return_inverse=True)
        wanted = torch.as_tensor(targets, dtype=torch.long, device=hidden.device)
        logp = torch.empty(len(wanted), dtype=torch.float32, device=hidden.device)
        greedy = torch.empty(len(wanted), dtype=torch.bool, device=hidden.device)
        vocabulary = self.network.head.weight.shape[0]
        size = max(1, LOGIT_ELEMENTS // vocabulary)
        for start in range(0, len(distinct), size):
            logits = self.network.logits(hidden[distinct[start : start + size]])
            here = ((which >= start) & (which < start + size)).nonzero()[:, 0]
            rows, columns = which[here] - start, wanted[here]
            # `hf` calls log_softmax, whose rounding (1e-5 a token on a CPU) is thus the same here.
            logp[here] = logits.log_softmax(dim=1)[rows, columns]
            greedy[here] = logits.argmax(dim=1)[rows] == columns
        return logp.cpu().numpy(), greedy.cpu().numpy()


def _targets(
    batch: Sequence[Row], requests: Sequence[Request]
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """(T,) flat places in the padded batch, (T,) next tokens, and whose they are, how many each."""
    longest = max(map(len, batch))
    places, targets, owners = [], [], []
    for b, row in enumerate(batch):
        for tokens, path in zip(row.inputs, row.paths, strict=True):
            for number in tokens.requests:
                continuation = requests[number].continuation
                count = min(len(continuation), len(tokens))
                places.append(b * longest + path[-count:])
                targets.append(np.asarray(continuation[-count:]))
                owners.append((number, count))
    return np.concatenate(places), np.concatenate(targets), owners


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
