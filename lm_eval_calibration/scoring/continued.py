"""Inputs that go on from the model's own cache: for recurrent and hybrid layers, and all that take no trees.

What inputs share is computed once; its cache is copied for each branch; branches are padded on the
right, where nothing that is scored sees the padding. Several contexts are computed at a time, of
each as many tokens as the shortest has, so that no state ever reads padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lm_eval_calibration.scoring import families
from lm_eval_calibration.scoring.branches import Cached, branches, bytes_of
from lm_eval_calibration.scoring.chain import Chain
from lm_eval_calibration.scoring.chunks import short_chunks
from lm_eval_calibration.scoring.contract import Answers, Executor, cheap
from lm_eval_calibration.scoring.head import Head, arguments_of
from lm_eval_calibration.scoring.plan import (
    PlannedRow,
    Prefix,
    of_a_length,
    plan_rows,
    split_row,
    targets_of,
)
from lm_eval_calibration.scoring.sequences import Request, inputs_of

CACHE_BYTES = 1 << 30
"""What the copies of a cache may take."""
SPARE = {"cpu": 48}
DEVICE_SPARE = 1024
"""Tokens that cost about as much as a further pass: its weights are read, its kernels launched."""
CACHES = ("cache", "past_key_values", "cache_params", "state")
"""What models call their caches, in their arguments and outputs."""


class Continued(Executor[PlannedRow]):
    """Rows of one input each, after the cache of what inputs share."""

    def __post_init__(self) -> None:
        self.head = Head(self.model, self.precision)
        known = arguments_of(self.model)
        self.cache_argument = next((name for name in CACHES if name in known), "")
        if not self.cache_argument or "input_ids" not in known:
            raise TypeError("the model takes no cache")
        self.takes_positions = "position_ids" in known

    def plan(self, requests: Sequence[Request], **options: int) -> list[PlannedRow]:
        """Rows of one input, each after a prefix that it shares with others, if it does.

        Options are those of `plan_rows`.
        """
        return plan_rows(inputs_of(requests, self.max_length), row_tokens=-1, **options)

    def trials(self, requests: Sequence[Request]) -> Iterator[tuple[list[int], list[PlannedRow]]]:
        """As they will be; then from each context's middle and end, and from several ends side by side.

        A model that drops its state shows it right behind the end.
        """
        yield list(range(len(requests))), self.plan(requests)
        rest = cheap(requests)
        inputs = inputs_of([requests[n] for n in rest], self.max_length)
        yield rest, [split_row(tokens, tokens.first // 2, tokens.first) for tokens in inputs]
        yield rest, [split_row(tokens, tokens.first) for tokens in inputs]

    def batches(self, plan: Sequence[PlannedRow]) -> Iterator[list[PlannedRow]]:
        """Rows of one prefix, or of several prefixes with the same parent."""
        return families.batches(plan, lambda: self.batch_tokens, self._spare)

    @property
    def _spare(self) -> int:
        return SPARE.get(self.device.type, DEVICE_SPARE)

    def computing(self, requests: Sequence[Request]) -> Callable[[list[PlannedRow]], Answers]:
        """With the caches of the prefix at hand and of its parents."""
        cached: Chain[Cached | None] = Chain(None, self._extended)

        def compute(batch: list[PlannedRow]) -> Answers:
            begun = self._begun(batch, cached)
            parts = [self._answers(begun, part, requests) for part in self._parts(begun)]
            return _joined(parts)

        return compute

    def _extended(self, prefix: Prefix, before: Cached | None) -> Cached:
        """The cache of one prefix, from its parent's."""
        return self.advance(prefix.tokens[None], branches(before, [0]))[1]

    def _begun(self, batch: list[PlannedRow], cached: Chain[Cached | None]) -> _Begun:
        """The prefix of all, or as much of each of several as the shortest has, in one pass."""
        prefixes = list({id(row.prefix): row.prefix for row in batch}.values())
        if len(prefixes) == 1:
            return _Begun(cached.of(prefixes[0]), 1, [_Branch(row, 0, row.tokens) for row in batch])
        several = [prefix for prefix in prefixes if prefix is not None]
        length = min(len(prefix.tokens) for prefix in several)
        tokens = np.stack([prefix.tokens[:length] for prefix in several])
        before = branches(cached.of(several[0].parent), [0] * len(several))
        _, cache = self.advance(tokens, before)
        found = []
        for row in batch:
            owner = next(n for n, prefix in enumerate(several) if prefix is row.prefix)
            rest = np.concatenate([several[owner].tokens[length:], row.tokens])
            found.append(_Branch(row, owner, rest))
        return _Begun(cache, len(several), found)

    def _parts(self, begun: _Begun) -> Iterator[list[_Branch]]:
        """Branches of about one length, as many as copies of the cache have room."""
        room = CACHE_BYTES * begun.size // max(bytes_of(begun.cache), 1)
        for part in of_a_length(
            begun.branches,
            lambda b: len(b.rest),
            lambda: self.batch_tokens,
            lambda _: self._spare,
        ):
            for start in range(0, len(part), max(room, 1)):
                yield part[start : start + max(room, 1)]

    def _answers(self, begun: _Begun, part: list[_Branch], requests: Sequence[Request]) -> Answers:
        """Of branches, padded on the right."""
        width = max(len(branch.rest) for branch in part)
        tokens = np.zeros((len(part), width), dtype=np.int64)
        for line, branch in zip(tokens, part, strict=True):
            line[: len(branch.rest)] = branch.rest
        hidden, _ = self.advance(tokens, branches(begun.cache, [branch.owner for branch in part]))
        rows = [branch.row for branch in part]
        before = [len(branch.rest) - len(branch.row) for branch in part]
        return self.head.answers(hidden.flatten(0, 1), *targets_of(rows, requests, width, before))

    def advance(self, tokens: NDArray[Any], before: Cached | None) -> tuple[torch.Tensor, Cached]:
        """States (B, L, H) that the head reads of tokens (B, L) after a cache, and the longer cache."""
        start = before.length if before else 0
        end = start + tokens.shape[1]
        given = {self.cache_argument: before.cache} if before else {}
        if self.takes_positions:  # (some count from 0 after any cache)
            given["position_ids"] = torch.arange(start, end, device=self.device)[None]
        inputs = torch.as_tensor(tokens, dtype=torch.long, device=self.device)
        with short_chunks(self.model, inputs.shape[1]):
            hidden, output = self.head.read(input_ids=inputs, use_cache=True, **given)
        found = [output[name] for name in CACHES if output.get(name) is not None]
        if not found:
            raise TypeError("the model returns no cache")
        return hidden, Cached(found[0], end)


class Stepwise(Continued):
    """For models that go on from a cache by one token at a time only, as Mamba does."""

    def advance(self, tokens: NDArray[Any], before: Cached | None) -> tuple[torch.Tensor, Cached]:
        if before is None:
            return super().advance(tokens, before)
        states, cached = [], before
        for column in range(tokens.shape[1]):
            state, cached = super().advance(tokens[:, column : column + 1], cached)
            states.append(state)
        return torch.cat(states, dim=1), cached


class _Branch(NamedTuple):
    """A row; which of the beginnings it goes on from; and the tokens that are left of it."""

    row: PlannedRow
    owner: int
    rest: NDArray[np.int32]


class _Begun(NamedTuple):
    """A cache of so many beginnings, and what goes on from them."""

    cache: Cached | None
    size: int
    branches: list[_Branch]


def _joined(parts: list[Answers]) -> Answers:
    """Of several parts of a batch."""
    numbers = [number for part in parts for number in part.requests]
    tensors = zip(*(part[1:] for part in parts), strict=True)
    return Answers(numbers, *(torch.cat(list(several)) for several in tensors))
