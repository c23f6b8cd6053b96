"""Rows of different lengths, one after another in one array, and how they become matrices.

Documents differ in their number of options. A matrix of all of them costs documents times the
longest, so one document of 10,000 options would cost as much as 10,000 of each. Here values lie flat,
and rows are made matrices in blocks of about the same width: up to `TOGETHER` columns all together,
beyond it never padded to more than twice their length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Ints = NDArray[np.intp]

TOGETHER = 16
"""Rows of up to so many values share their blocks."""
BLOCK_ROWS = 1 << 15
"""Rows made a matrix at a time, to keep temporaries small."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """N rows of `count` (N,) values each, T in all, that lie one after another in `values` (T,)."""

    values: Array
    count: Ints

    def __len__(self) -> int:
        return len(self.count)

    def __iter__(self) -> Iterator[Array]:
        return iter(np.split(self.values, starts_of(self.count)[1:-1]))

    def take(self, rows: Array) -> Ragged:
        """Some rows, in their order."""
        return Ragged(self.values[places(self.count, rows)], self.count[rows])

    def padded(self, filling: Any) -> Array:
        """(N, K) of all rows, `filling` beyond the end of each."""
        whole = Block(slice(None), slice(None), self.count, int(self.count.max()))
        return whole.padded(self.values, filling)


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of about the same length, as matrices (n, k).

    Attributes:
        rows: which they are.
        places: of their values among all.
        count: (n,) how many each has.
        width: k, as many as the longest of their kind has.
    """

    rows: Any
    places: Any
    count: Ints
    width: int

    def padded(self, values: Array, filling: Any) -> Array:
        """(n, k) of these rows' part of `values` (T,); a view, where they are equally long."""
        mine = values[self.places]
        if len(mine) == len(self.count) * self.width:
            return mine.reshape(len(self.count), self.width)
        matrix = np.full((len(self.count), self.width), filling, dtype=mine.dtype)
        matrix[self._real] = mine
        return matrix

    def flat(self, matrix: Array) -> Array:
        """(t,) values of a matrix (n, k), without the padding."""
        if self.count.sum() == matrix.size:
            return matrix.ravel()
        return matrix[self._real]

    def row(self, i: int) -> int:
        """Which of all rows the i-th here is."""
        return i + self.rows.start if isinstance(self.rows, slice) else int(self.rows[i])

    @property
    def _real(self) -> Array:
        return np.arange(self.width) < self.count[:, None]


def blocks(count: Ints) -> Iterator[Block]:
    """All rows, in blocks of at most `BLOCK_ROWS`."""
    starts = starts_of(count)
    kinds = kinds_of(count)
    for rows in kinds:
        width = int(count.max() if len(kinds) == 1 else count[rows].max())
        for first in range(0, len(rows), BLOCK_ROWS):
            some = rows[first : first + BLOCK_ROWS]
            if len(kinds) == 1:
                where = slice(int(some[0]), int(some[-1]) + 1)
                values = slice(int(starts[where.start]), int(starts[where.stop]))
                yield Block(where, values, count[where], width)
            else:
                yield Block(some, places(count, some), count[some], width)


def kinds_of(count: Ints) -> list[Ints]:
    """The rows of each kind: those that share a matrix."""
    if count.max() <= TOGETHER or count.min() == count.max():
        return [np.arange(len(count))]
    kind = np.frexp(np.maximum(count, TOGETHER) - 0.5)[1]  # one for each power of two
    return [np.flatnonzero(kind == k) for k in np.unique(kind)]


def by_rows(function: Callable[[Array], Array], values: Array, count: Ints, filling: Any) -> Array:
    """(T,) of a function of matrices (n, k) whose rows are each a row's own business."""
    found = np.empty(len(values))
    for block in blocks(count):
        found[block.places] = block.flat(function(block.padded(values, filling)))
    return found


def starts_of(count: Ints) -> Ints:
    """(N + 1,) where each row's values begin, and where the last ones end."""
    return np.concatenate([np.zeros(1, np.intp), np.cumsum(count, dtype=np.intp)])


def places(count: Ints, rows: Array) -> Ints:
    """Where the values of some rows lie, row after row."""
    chosen = count[rows]
    ends = np.cumsum(chosen, dtype=np.intp)
    shift = starts_of(count)[:-1][rows] - (ends - chosen)
    return np.repeat(shift, chosen) + np.arange(len(shift) and ends[-1])


def positions(count: Ints) -> Ints:
    """(T,) the position of each value in its row, from 0."""
    return np.arange(count.sum()) - np.repeat(starts_of(count)[:-1], count)
