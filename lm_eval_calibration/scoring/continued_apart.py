"""Inputs continued from a cache, in steps of one shape: the same bits in any company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from lm_eval_calibration.scoring.branches import Cached, branches
from lm_eval_calibration.scoring.chain import Chain
from lm_eval_calibration.scoring.continued import Continued, Stepwise
from lm_eval_calibration.scoring.contract import Answers
from lm_eval_calibration.scoring.head import HEAD_ROWS, Head
from lm_eval_calibration.scoring.passages import Beginning, beginning_of, no_beginning
from lm_eval_calibration.scoring.plan import PlannedRow, Prefix, row_after, targets_of
from lm_eval_calibration.scoring.sequences import Input, Request, check

ROWS = 4
"""Continuations that go on from one context at a time, always so many: most questions have four options."""
STEPS = ((16, 4), (64, 8), (1 << 30, 16))
"""Up to how many tokens, and to which multiples a row is filled."""


def filled_length(length: int) -> int:
    """To how many tokens a row of `length` is filled.

    >>> [filled_length(n) for n in (1, 4, 5, 17, 65)]
    [4, 4, 8, 24, 80]
    """
    step = next(step for most, step in STEPS if length <= most)
    return -(-length // step) * step


@dataclass
class ContinuedApart(Continued):
    """A context is read by itself, and its continuations side by side, always as many, in one of a few lengths.

    Attributes:
        beginning: where a context's beginning ends, which is read before it.
    """

    beginning: Beginning = no_beginning
    rows: ClassVar[int] = ROWS

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head = Head(self.model, self.precision, HEAD_ROWS)

    def plan(self, requests: Sequence[Request], **options: int) -> list[PlannedRow]:
        """A row for each input, after its context; those of a context together."""
        check(requests, self.max_length)
        known: dict[tuple[int, bytes], Prefix] = {}
        found: dict[tuple[int, bytes], list[int]] = {}
        for number, (context, continuation) in enumerate(requests):
            tokens = np.array([*context, *continuation][-(self.max_length + 1) : -1], np.int32)
            found.setdefault((len(continuation), tokens.tobytes()), []).append(number)
        rows: dict[int, list[PlannedRow]] = {}
        for (length, data), numbers in found.items():
            tokens = np.frombuffer(data, np.int32).copy()
            read = Input(tokens, tuple(numbers), max(len(tokens) - length, 0))
            row = row_after(self._context(read, known), read)
            rows.setdefault(id(row.prefix), []).append(row)
        order = sorted(rows.values(), key=lambda of: id(of[0].prefix and of[0].prefix.parent))
        return [row for of_context in order for row in of_context]

    def _context(self, read: Input, known: dict[tuple[int, bytes], Prefix]) -> Prefix | None:
        """What is read before an input's row: its beginning, if it has one, and the rest of its context."""
        prefix: Prefix | None = None
        split = beginning_of(read.tokens[: read.first].tolist(), self.beginning)
        for start, stop in ((0, split), (split, read.first)):
            if stop > start:
                key = (id(prefix), read.tokens[start:stop].tobytes())
                prefix = known.setdefault(key, Prefix(read.tokens[start:stop], prefix))
        return prefix

    def batches(self, plan: Sequence[PlannedRow]) -> Iterator[list[PlannedRow]]:
        """Rows of one context that are filled to one length, so many at most."""
        alike: dict[tuple[int, int], list[PlannedRow]] = {}
        for row in plan:
            alike.setdefault((id(row.prefix), self._width(row)), []).append(row)
        for rows in alike.values():
            for start in range(0, len(rows), self.rows):
                yield rows[start : start + self.rows]

    def computing(self, requests: Sequence[Request]) -> Callable[[list[PlannedRow]], Answers]:
        """With the caches of the context at hand and of its beginning."""
        cached: Chain[Cached | None] = Chain(None, self._extended)

        def compute(batch: list[PlannedRow]) -> Answers:
            width = self._width(batch[0])
            tokens = np.zeros((self.rows, width), dtype=np.int64)
            for line, row in zip(tokens, batch, strict=False):
                line[: len(row)] = row.tokens
            before = branches(cached.of(batch[0].prefix), [0] * self.rows)
            hidden: torch.Tensor = self.advance(tokens, before)[0]
            return self.head.answers(hidden.flatten(0, 1), *targets_of(batch, requests, width))

        return compute

    def _width(self, row: PlannedRow) -> int:
        return filled_length(len(row)) if self.rows > 1 else len(row)


class StepwiseApart(ContinuedApart, Stepwise):
    """The same, token by token."""


class ContinuedAlone(ContinuedApart):
    """Each continuation by itself: for models in which tokens are computed by how many are routed alike."""

    rows = 1


class StepwiseAlone(ContinuedAlone, Stepwise):
    """The same, token by token."""
