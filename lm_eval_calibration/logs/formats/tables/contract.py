"""What a kind of table is: it takes rows block by block, and makes predictions of them at the end."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lm_eval_calibration.predictions import Ints, Predictions

if TYPE_CHECKING:
    from pandas import DataFrame

Bad = Mapping[int, str]
"""Why rows cannot be used, by their places."""


class Wanted(NamedTuple):
    """Columns that are read.

    needed: those that a file must have; optional: those that are read where it has them;
    structured: of both, those whose cells stay lists and dictionaries.
    """

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    structured: frozenset[str] = frozenset()


class TableKind(Protocol):
    """A kind of table. It keeps what it needs of the rows that it took.

    Attributes:
        wanted: the columns it reads.
    """

    wanted: Wanted

    def take(self, block: DataFrame) -> Bad:
        """Keep a block's rows, but for those that it says are bad, by their places in the block."""

    def settle(self, columns: Collection[str]) -> Bad:
        """Decide what all rows together decide: which of those taken, by number, are bad after all.

        Args:
            columns: of the files.

        Raises:
            InvalidInputError: it cannot be decided.
        """

    def notes(self) -> tuple[str, ...]:
        """What was decided, where a reader must know it."""

    def predictions(self, rows: Ints) -> Predictions:
        """Of some of the rows taken, by number."""
