"""Which tokens are computed together: cached prefixes, and rows that are small trees.

Neighbouring inputs (sorted, with the lengths they share) form a trie. A *row* is a part of it with
each token once: a document's context, then its options, of which each sees its own ancestors only.
What many rows share, such as a few-shot block, is a *prefix*, computed once before them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.scoring.sequences import Input, Request, Tokens, common_lengths

Item = TypeVar("Item")

ROW_TOKENS = 256
"""Inputs are put into one row up to so many tokens that they do not all share."""
MIN_PREFIX = 16
"""A shared beginning of fewer tokens is cheaper computed again than cached."""


@dataclass(frozen=True, eq=False)
class Prefix:
    """Tokens that come before rows or other prefixes: (P,) of its own, after its parent's."""

    tokens: Tokens
    parent: Prefix | None = None

    @property
    def end(self) -> int:
        """How many tokens it and its parents have."""
        return len(self.tokens) + (self.parent.end if self.parent else 0)


@dataclass(frozen=True, eq=False)
class PlannedRow:
    """A tree of tokens after a prefix.

    Attributes:
        prefix: what is cached before it, if anything.
        tokens: (L,) each token of the tree once.
        depth: (L,) its position in its input, prefix included.
        end: (L,) where the tokens that follow it end. They stand right after it, so token i sees
            token j, itself or an ancestor, exactly where j <= i < end[j].
        paths: for each input, (S - prefix,) where its tokens lie in the row.
        inputs: the inputs.
    """

    prefix: Prefix | None
    tokens: Tokens
    depth: NDArray[np.intp]
    end: NDArray[np.intp]
    paths: list[NDArray[np.intp]]
    inputs: list[Input]

    def __len__(self) -> int:
        return len(self.tokens)


@dataclass(frozen=True)
class _Part:
    """Inputs start..stop of a plan, and the prefix they all have."""

    start: int
    stop: int
    prefix: Prefix | None = None
    done: int = 0


def plan_rows(
    inputs: Sequence[Input], *, row_tokens: int = ROW_TOKENS, min_prefix: int = MIN_PREFIX
) -> list[PlannedRow]:
    """Cut sorted inputs into rows and prefixes.

    Args:
        inputs: as `inputs_of` gives them.
        row_tokens: most tokens of a row that its inputs do not all share; -1 for rows of one input.
        min_prefix: fewest tokens that are worth a prefix.
    """
    shared = common_lengths(inputs)
    rows: list[PlannedRow] = []
    stack = [_Part(0, len(inputs))] if inputs else []
    while stack:
        part = stack.pop()
        new = _new_tokens(part, inputs, shared)
        common = _common(part, inputs, shared)
        one_context = part.stop - part.start == 1
        if one_context or new - (common - part.done) <= row_tokens:
            rows.append(_row(part, inputs, shared))
        else:
            stack += reversed(_split(part, inputs, shared, min_prefix))
    return rows


def _new_tokens(part: _Part, inputs: Sequence[Input], shared: NDArray[np.intp]) -> int:
    """Tokens of the part's tree beyond its prefix."""
    first = len(inputs[part.start]) - part.done
    rest = range(part.start + 1, part.stop)
    return first + sum(len(inputs[i]) - max(int(shared[i]), part.done) for i in rest)


def _common(part: _Part, inputs: Sequence[Input], shared: NDArray[np.intp]) -> int:
    """Tokens that all inputs of the part share and in none of which anything is scored."""
    first_scored = min(inputs[i].first for i in range(part.start, part.stop))
    branch = int(shared[part.start + 1 : part.stop].min(initial=len(inputs[part.start])))
    return max(min(branch, first_scored), part.done)


def _split(
    part: _Part, inputs: Sequence[Input], shared: NDArray[np.intp], min_prefix: int
) -> list[_Part]:
    """The parts that begin where the inputs branch for the first time."""
    common = _common(part, inputs, shared)
    prefix, done = part.prefix, part.done
    if common - done >= min_prefix:
        prefix = Prefix(inputs[part.start].tokens[done:common], part.prefix)
        done = common
    inside = shared[part.start + 1 : part.stop]
    cuts = part.start + 1 + np.flatnonzero(inside <= inside.min())
    bounds = [part.start, *cuts.tolist(), part.stop]
    return [_Part(a, b, prefix, done) for a, b in pairwise(bounds)]


def split_row(tokens: Input, *ends: int) -> PlannedRow:
    """An input as a row of its own, after prefixes that end at some of its positions."""
    prefix: Prefix | None = None
    done = 0
    for end in sorted(set(ends) - {0}):
        prefix = Prefix(tokens.tokens[done:end], prefix)
        done = end
    return row_after(prefix, tokens)


def row_after(prefix: Prefix | None, read: Input) -> PlannedRow:
    """An input as a row of its own, after a prefix of it."""
    done = prefix.end if prefix else 0
    return _row(_Part(0, 1, prefix, done), [read], np.zeros(1, dtype=np.intp))


def _row(part: _Part, inputs: Sequence[Input], shared: NDArray[np.intp]) -> PlannedRow:
    tokens, depths, paths, ends = [], [], [], []
    path = np.empty(0, dtype=np.intp)
    size = 0
    for i in range(part.start, part.stop):
        known = max(int(shared[i]), part.done) if i > part.start else part.done
        own = inputs[i].tokens[known:]
        ends.append((path[known - part.done :], size))  # nothing follows these any more
        path = np.concatenate([path[: known - part.done], np.arange(size, size + len(own))])
        size += len(own)
        tokens.append(own)
        depths.append(np.arange(known, len(inputs[i])))
        paths.append(path)
    end = np.full(size, size, dtype=np.intp)
    for closed, at in ends:
        end[closed] = at
    return PlannedRow(
        part.prefix,
        np.concatenate(tokens),
        np.concatenate(depths),
        end,
        paths,
        list(inputs[part.start : part.stop]),
    )


def batches(
    rows: Sequence[PlannedRow], tokens: Callable[[], int], padding: float = 0.1
) -> Iterator[list[PlannedRow]]:
    """Rows of one prefix and of nearly one length; see `of_a_length`.

    A row that would make more than `padding` of a batch's tokens padding waits for the next one.
    """
    by_prefix: dict[int, list[PlannedRow]] = {}
    for row in rows:
        by_prefix.setdefault(id(row.prefix), []).append(row)
    for group in by_prefix.values():
        yield from of_a_length(group, len, tokens, lambda padded: padding * padded)


def of_a_length(
    items: Sequence[Item],
    size: Callable[[Item], int],
    tokens: Callable[[], int],
    padding: Callable[[int], float],
) -> Iterator[list[Item]]:
    """Items of nearly one length, `tokens()` in all at most (but one item at least).

    The longest come first, so that memory runs out at once or never.

    Args:
        items: in any order.
        size: tokens of an item.
        tokens: of a batch, padding included.
        padding: how much of so many tokens may be padding.
    """
    batch: list[Item] = []
    longest = real = 0
    for item in sorted(items, key=size, reverse=True):
        padded = (len(batch) + 1) * longest
        if batch and (padded > tokens() or padded - real - size(item) > padding(padded)):
            yield batch
            batch = []
        if not batch:
            longest, real = size(item), 0
        batch.append(item)
        real += size(item)
    if batch:
        yield batch


def targets_of(
    batch: Sequence[PlannedRow],
    requests: Sequence[Request],
    width: int,
    before: Sequence[int] | None = None,
) -> tuple[list[int], NDArray[np.int64], NDArray[np.int64], list[int]]:
    """What a batch's R requests score.

    Args:
        batch: padded to rows of `width`.
        requests: all, by number.
        width: of a row.
        before: tokens that stand in each row before its own.

    Returns:
        The requests' numbers; flat places (T,) whose next tokens are scored; these tokens (T,); and
        how many of the T each request has.
    """
    numbers, places, targets, counts = [], [], [], []
    for b, row in enumerate(batch):
        start = b * width + (before[b] if before else 0)
        for tokens, path in zip(row.inputs, row.paths, strict=True):
            for number in tokens.requests:
                continuation = requests[number].continuation
                count = min(len(continuation), len(tokens))
                numbers.append(number)
                places.append(start + path[-count:])
                targets.append(np.asarray(continuation[-count:], dtype=np.int64))
                counts.append(count)
    return numbers, np.concatenate(places), np.concatenate(targets), counts
