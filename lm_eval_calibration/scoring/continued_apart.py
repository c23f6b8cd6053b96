"""Inputs continued from a cache, in steps of one shape: the same bits in any company."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from lm_eval_calibration.scoring.branches import Cached, branches
from lm_eval_calibration.scoring.chain import Chain
from lm_eval_calibration.scoring.continued import Continued, Stepwise
from lm_eval_calibration.scoring.contract import Answers
from lm_eval_calibration.scoring.head import HEAD_ROWS, Head
from lm_eval_calibration.scoring.passages import Beginning, beginning_of, no_beginning
from lm_eval_calibration.scoring.plan import PlannedRow, Prefix, row_after, targets_of
from lm_eval_calibration.scoring.sequences import Input, Request, check


class StepShape(NamedTuple):
    """In what company a context and its continuations are read.

    step: a context is read up to a multiple of so many tokens, the rest of it with each continuation.
    contexts: read side by side. rows: continuations that go on side by side.
    """

    step: int
    contexts: int
    rows: int


SHORT = 64
"""Contexts of so many tokens at most, without their beginnings, are read side by side."""
SIDE_BY_SIDE, BY_ITSELF, ALONE = StepShape(8, 8, 8), StepShape(1, 1, 4), StepShape(1, 1, 1)
"""Short contexts; long ones, of which most have four options; nothing beside anything."""
WIDTH = 16
"""To a multiple of so many tokens a row is filled."""


class ScoredStates(NamedTuple):
    """What the head takes: see `Head.answers`."""

    hidden: torch.Tensor
    numbers: list[int]
    places: NDArray[np.int64]
    targets: NDArray[np.int64]
    counts: list[int]


class Context(Prefix):
    """What is read of a context, its beginning left out, before its continuations."""


@dataclass
class ContinuedApart(Continued):
    """Contexts of one length side by side, then their continuations, always as many, filled up.

    Attributes:
        beginning: where a context's beginning ends, which is read before it.
    """

    beginning: Beginning = no_beginning
    short: ClassVar[StepShape] = SIDE_BY_SIDE
    long: ClassVar[StepShape] = BY_ITSELF

    def __post_init__(self) -> None:
        super().__post_init__()
        self.head = Head(self.model, self.precision, HEAD_ROWS)

    def plan(self, requests: Sequence[Request], **options: int) -> list[PlannedRow]:
        """A row for each input, after its context; those of a beginning together."""
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
            row = row_after(self._before(read, known), read)
            rows.setdefault(id(_beginning(row)), []).append(row)
        return [row for of_beginning in rows.values() for row in of_beginning]

    def _before(self, read: Input, known: dict[tuple[int, bytes], Prefix]) -> Prefix | None:
        """What is read before an input's row: its beginning, if it has one, and most of its context."""
        split = beginning_of(read.tokens[: read.first].tolist(), self.beginning)
        rest = read.first - split
        step = self._shape(rest).step
        end = split + (0 if _is_one(read) and rest > SHORT else rest // step * step)
        prefix: Prefix | None = None
        for kind, start, stop in ((Prefix, 0, split), (Context, split, end)):
            if stop > start:
                key = (id(prefix), read.tokens[start:stop].tobytes())
                prefix = known.setdefault(key, kind(read.tokens[start:stop], prefix))
        return prefix

    def batches(self, plan: Sequence[PlannedRow]) -> Iterator[list[PlannedRow]]:
        """Rows of as many contexts of one beginning and length as are read side by side."""
        alike: dict[tuple[int, int], dict[int, list[PlannedRow]]] = {}
        for row in plan:
            group = alike.setdefault((id(_beginning(row)), _context_length(row)), {})
            group.setdefault(id(row.prefix), []).append(row)
        for (_, length), by_context in alike.items():
            contexts, many = list(by_context.values()), self._shape(length).contexts
            if not length:  # (rows that follow a beginning, or nothing)
                contexts = [[row] for rows in contexts for row in rows]
                many = HEAD_ROWS
            for start in range(0, len(contexts), many):
                yield [row for rows in contexts[start : start + many] for row in rows]

    def computing(self, requests: Sequence[Request]) -> Callable[[list[PlannedRow]], Answers]:
        """With the cache of the beginning at hand."""
        begun: Chain[Cached | None] = Chain(None, self._extended)

        def compute(batch: list[PlannedRow]) -> Answers:
            cache, owners = self._read(batch, begun)
            found = [self._of_rows(p, cache, owners, requests) for p in self._side_by_side(batch)]
            return self.head.answers(*_joined(found))

        return compute

    def _read(
        self, batch: list[PlannedRow], begun: Chain[Cached | None]
    ) -> tuple[Cached | None, dict[int, int]]:
        """The cache of a batch's contexts, and where in it each of them is."""
        contexts = {id(row.prefix): row.prefix for row in batch if isinstance(row.prefix, Context)}
        if not contexts:
            return begun.of(batch[0].prefix), {id(batch[0].prefix): 0}
        some = [context for context in contexts.values() if context is not None]
        many = self._shape(len(some[0].tokens)).contexts
        tokens = np.stack([context.tokens for context in (some + some[:1] * many)[:many]])
        before = branches(begun.of(some[0].parent), [0] * many)
        return self.advance(tokens, before)[1], {key: place for place, key in enumerate(contexts)}

    def _of_rows(
        self, part: list[PlannedRow], cache: Cached | None, owners: dict[int, int],
        requests: Sequence[Request],
    ) -> ScoredStates:  # fmt: skip
        """Of rows that are filled to one length, and to as many as ever."""
        rows, width = self._rows(part[0]), max(map(self._filled, part))
        tokens = np.zeros((rows, width), dtype=np.int64)
        for line, row in zip(tokens, part, strict=False):
            line[: len(row)] = row.tokens
        of = [owners[id(row.prefix)] for row in part] + [0] * (rows - len(part))
        hidden = self.advance(tokens, branches(cache, of))[0].flatten(0, 1)
        numbers, places, targets, counts = targets_of(part, requests, width)
        distinct, which = np.unique(places, return_inverse=True)
        return ScoredStates(hidden[torch.as_tensor(distinct)], numbers, which, targets, counts)

    def _side_by_side(self, batch: Sequence[PlannedRow]) -> Iterator[list[PlannedRow]]:
        """Rows that may be computed together."""
        alike: dict[tuple[int, int], list[PlannedRow]] = {}
        for row in batch:
            alike.setdefault((self._rows(row), self._kind(row)), []).append(row)
        for (rows, _), group in alike.items():
            for start in range(0, len(group), rows):
                yield group[start : start + rows]

    def _rows(self, row: PlannedRow) -> int:
        """In how many rows one is computed; a long context that is read with its only token goes alone."""
        if not isinstance(row.prefix, Context) and len(row) > SHORT:
            return 1
        return self._shape(_context_length(row)).rows

    def _filled(self, row: PlannedRow) -> int:
        """To how many tokens a row is filled."""
        return len(row) if self._rows(row) == 1 else -(-len(row) // WIDTH) * WIDTH

    def _kind(self, row: PlannedRow) -> int:
        """Equal for rows that may be computed side by side."""
        return self._filled(row)

    def _shape(self, length: int) -> StepShape:
        """Of a context of so many tokens, its beginning left out."""
        return self.short if length <= SHORT else self.long


class StepwiseApart(ContinuedApart, Stepwise):
    """The same, token by token: what is read with a continuation costs as many passes, and what fills a row, too."""

    short = BY_ITSELF

    def _filled(self, row: PlannedRow) -> int:
        return len(row)

    def _kind(self, row: PlannedRow) -> int:
        return 0  # (a pass is of one token of each row)


class ContinuedAlone(ContinuedApart):
    """Each continuation by itself: for models in which tokens are computed by how many are routed alike."""

    short = long = ALONE


class StepwiseAlone(ContinuedAlone, Stepwise):
    """The same, token by token."""


def _joined(parts: Sequence[ScoredStates]) -> ScoredStates:
    """Of several passes, so that logits are made of as many states at a time as can be."""
    starts = np.cumsum([0, *(len(part.hidden) for part in parts[:-1])])
    return ScoredStates(
        torch.cat([part.hidden for part in parts]),
        [number for part in parts for number in part.numbers],
        np.concatenate([p.places + start for p, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.targets for part in parts]),
        [count for part in parts for count in part.counts],
    )


def _is_one(read: Input) -> bool:
    """Whether a continuation is of one token, which follows what is read of its context."""
    return read.first == len(read) - 1


def _beginning(row: PlannedRow) -> Prefix | None:
    return row.prefix.parent if isinstance(row.prefix, Context) else row.prefix


def _context_length(row: PlannedRow) -> int:
    return len(row.prefix.tokens) if isinstance(row.prefix, Context) else 0
