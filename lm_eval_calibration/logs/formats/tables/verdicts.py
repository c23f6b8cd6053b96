"""Whether each row's answer is right: as said, by one value, or by comparing two columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.harness.bad import shown
from lm_eval_calibration.logs.formats.tables.cells import got, numbers_of, texts_of
from lm_eval_calibration.logs.formats.tables.columns import Columns
from lm_eval_calibration.logs.formats.tables.contract import Bad
from lm_eval_calibration.logs.formats.tables.verdict_cells import VerdictCells
from lm_eval_calibration.predictions import Bools, Floats, Ints

if TYPE_CHECKING:
    from pandas import DataFrame, Series

_WORDS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}
VALUES_SHOWN = 6
VALUES_LOOKED_AT = 1000
"""Different values of a column that are looked at."""


class Verdicts:
    """The verdicts of a table, block by block.

    Args:
        columns: `correct`, and what it is compared with.
    """

    def __init__(self, columns: Columns) -> None:
        assert columns.correct is not None
        self._column, self._value = columns.correct, columns.correct_value
        self._cells = VerdictCells(self._column, self._value) if self._value is not None else None
        self._other = columns.equal_to or self._value
        self._compare = columns.equal_to is not None
        self.needed = (self._column, *([columns.equal_to] if columns.equal_to else []))
        self.optional = (self._value,) if self._value is not None else ()
        self._said: list[Floats] = []
        self._equal = _Equal()
        self._neither: dict[int, str] = {}
        self._count = 0

    def take(self, block: DataFrame, kept: Bools) -> None:
        """Keep the verdicts of a block's good rows."""
        rows = block[kept]
        if not self._compare:
            said = _said(rows[self._column], self._cells)
            for row in np.flatnonzero(np.isnan(said)):
                self._neither[self._count + int(row)] = got(rows[self._column].iloc[row])
            self._said.append(said)
        if self._other is not None and self._other in rows:
            self._equal.take(texts_of(rows[self._column]), texts_of(rows[self._other]))
        self._count += len(rows)

    def settle(self, columns: Collection[str]) -> Bad:
        """Decide what is compared with what; why rows have no verdict, by number.

        Raises:
            InvalidInputError: a value is also a column's name, or no cell holds it.
        """
        if self._cells is not None and self._other in columns:
            if self._cells.occurs:
                raise InvalidInputError(
                    f"--correct {self._column}={self._other}: `{self._other}` is a value of "
                    f"`{self._column}` and also a column. Write --correct {self._column}=={self._other} to "
                    "compare the two columns, or rename that column to mean the value."
                )
            self._compare = True
        if self._compare:
            self._equal.check(self._column, str(self._other))
            missing = np.flatnonzero(np.isnan(self._equal.values()))
            pair = f"`{self._column}` and `{self._other}` must not be empty to be compared"
            return {int(row): pair for row in missing}
        if self._cells is not None:
            self._cells.check()
        return {
            row: f"`{self._column}` must be 0 or 1 (or true or false), got {cell}; "
            f"write --correct {self._column}=VALUE for a value that means right"
            for row, cell in self._neither.items()
        }

    def notes(self) -> tuple[str, ...]:
        """What was compared, and what differs by little."""
        if self._compare:
            return self._equal.notes(self._column, str(self._other))
        return () if self._cells is None else self._cells.notes()

    def right(self, rows: Ints) -> Bools:
        """(M,) the verdicts of some rows."""
        values = self._equal.values() if self._compare else np.concatenate(self._said)
        return np.asarray(values[rows] == 1.0)


class _Equal:
    """Two columns, compared as text without spaces around it, and as numbers."""

    def __init__(self) -> None:
        self._values: list[Floats] = []
        self._near = 0
        self._sides: tuple[dict[str, None], dict[str, None]] = ({}, {})
        self._full = False

    def take(self, mine: np.ndarray, other: np.ndarray) -> None:
        """Compare a block."""
        empty = (mine == "") | (other == "")
        equal = (mine == other) | (numbers_of(mine) == numbers_of(other))
        folded = [a.casefold() == b.casefold() for a, b in zip(mine, other, strict=True)]
        self._near += int((np.array(folded, dtype=bool) & ~equal & ~empty).sum())
        self._values.append(np.where(empty, np.nan, equal.astype(np.float64)))
        for side, texts in zip(self._sides, (mine, other), strict=True):
            side |= dict.fromkeys(str(text) for text in dict.fromkeys(texts) if text)
            self._full |= len(side) > VALUES_LOOKED_AT
            for text in list(side)[VALUES_LOOKED_AT:]:
                del side[text]

    def values(self) -> Floats:
        """(N,) 1, 0, or NaN where one of them is empty."""
        return np.concatenate(self._values) if self._values else np.empty(0)

    def check(self, column: str, other: str) -> None:
        """Refuse columns of which no two cells can be equal: they are written differently.

        Raises:
            InvalidInputError: so it is.
        """
        if (self.values() == 1).any() or not all(self._sides) or self._full:
            return
        mine, theirs = (_keys(side) for side in self._sides)
        if mine & theirs:
            return
        held = " and ".join(
            f"`{name}` holds {', '.join(map(shown, list(side)[:VALUES_SHOWN]))}"
            for name, side in zip((column, other), self._sides, strict=True)
        )
        raise InvalidInputError(
            f"--correct compares the columns `{column}` and `{other}`, and no value stands in both: {held}. "
            "Write both in the same way."
        )

    def notes(self, column: str, other: str) -> tuple[str, ...]:
        """That columns were compared, and how many rows differ by case alone."""
        said = f"an answer is right where the columns `{column}` and `{other}` are equal"
        if not self._near:
            return (said,)
        return (said, f"of {self._near:,} rows they differ by case alone, which counts as wrong")


def _keys(texts: Collection[str]) -> set[str | float]:
    """Texts, or the numbers that they are."""
    array = np.array(list(texts), dtype=object)
    pairs = zip(array.tolist(), numbers_of(array).tolist(), strict=True)
    return {text if number != number else number for text, number in pairs}


def _said(column: Series, cells: VerdictCells | None) -> Floats:
    """(N,) 1, 0, or NaN for what is neither."""
    if cells is not None:
        right = cells.are_right(column).to_numpy(dtype=np.float64)
        return np.where(column.notna().to_numpy(), right, np.nan)
    return np.array([_WORDS.get(str(v).lower(), np.nan) for v in column.tolist()], dtype=np.float64)
