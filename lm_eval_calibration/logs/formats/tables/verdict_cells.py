"""What the cells of a table's verdict column hold, and the error where none of them is what was asked for."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.harness.bad import shown

if TYPE_CHECKING:
    from pandas import Series

VALUES_COUNTED = 1000
"""Different values counted; a column of verdicts has a handful."""
LISTED = 8


class VerdictCells:
    """The cells of a column, counted block by block.

    Args:
        column: its name.
        right: the value that means right, as given.
    """

    def __init__(self, column: str, right: str) -> None:
        self._column, self._right = column, right
        self._number = _number(right)
        self._count: Counter[str] = Counter()
        self._right_ones: set[str] = set()

    def are_right(self, cells: Series) -> Series:
        """(N,) whether each cell is the value: the same text, number, or truth value."""
        texts = cells.astype(str)
        right = texts == self._right
        if self._number is not None:
            right |= texts.map(_number) == self._number
        if cells.dtype == bool:
            right |= texts.str.lower() == self._right.strip().lower()
        self._right_ones |= set(texts[right & cells.notna()])
        for text, times in texts[cells.notna()].value_counts().items():
            if text in self._count or len(self._count) < VALUES_COUNTED:
                self._count[str(text)] += int(times)
        return right

    @property
    def occurs(self) -> bool:
        """Whether a cell was the value."""
        return bool(self._right_ones)

    def check(self) -> None:
        """Refuse a value that no cell was: every answer would count as wrong.

        Raises:
            InvalidInputError: there were cells, and none was right.
        """
        if self._right_ones or not self._count:
            return
        raise InvalidInputError(
            f"--correct {self._column}={self._right}: no cell of `{self._column}` is "
            f"{self._right!r}; it holds {self._values()}. {self._what_to_do()}"
        )

    def notes(self) -> tuple[str, ...]:
        """That cells which differ from the value by case or spaces alone count as wrong."""
        others = [text for text in self._near() if text not in self._right_ones]
        if not self._right_ones or not others:
            return ()
        listed = ", ".join(f"{shown(text)} ({self._count[text]:,})" for text in others[:LISTED])
        return (
            f"--correct {self._column}={self._right} counts as wrong what differs from it only by case or "
            f"spaces: {listed}",
        )

    def _values(self) -> str:
        listed = [f"{shown(text)} ({n:,})" for text, n in self._count.most_common(LISTED)]
        more = len(self._count) - len(listed)
        return ", ".join(listed) + (f" and {more:,} more values" if more > 0 else "")

    def _near(self) -> list[str]:
        return [text for text in self._count if _folded(text) == _folded(self._right)]

    def _what_to_do(self) -> str:
        if near := self._near():
            choice = max(near, key=lambda text: self._count[text])
            return (
                f"{shown(choice)} differs only by case or spaces: write --correct "
                f"'{self._column}={choice}' if it means right."
            )
        return f"Write --correct '{self._column}=VALUE' with the one of them that means right."


def _folded(text: str) -> str:
    return "".join(text.casefold().split())


def _number(text: str) -> float | None:
    """A number that is written so; `None` of other texts, and of NaN."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value == value else None
