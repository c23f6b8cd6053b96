"""Which option a table's answer key means: by its name, its letter or its number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables.cells import brief
from lm_eval_calibration.predictions import Ints

NONE = -1
Names = tuple[str, ...]
Reading = Callable[[str, Names], int]


class Golds(NamedTuple):
    """The right options of all rows.

    positions: (N,) of them, `NONE` where a cell is no option of its row; note: how cells were read, where
    that was decided by what they are.
    """

    positions: Ints
    note: str = ""


class _Cells:
    """The different cells of a column with the options of their rows, and how often each is there."""

    def __init__(self, texts: Sequence[str], names: Sequence[Names]) -> None:
        numbers: dict[tuple[str, Names], int] = {}
        each = [numbers.setdefault(pair, len(numbers)) for pair in zip(texts, names, strict=True)]
        self.of_row = np.array(each, dtype=np.intp)
        self.pairs = list(numbers)
        self.times = np.bincount(self.of_row, minlength=len(self.pairs))

    def read(self, reading: Reading) -> Ints:
        """Where each different cell points."""
        return np.array([reading(text, names) for text, names in self.pairs], dtype=np.intp)

    def count(self, positions: Ints) -> int:
        """How many rows these resolve."""
        return int(self.times[positions != NONE].sum())

    def any_number(self, is_it: Callable[[int, Names], bool]) -> bool:
        """Whether a cell is a number of which something holds."""
        return any(
            (number := _whole(text)) is not None and is_it(number, names)
            for text, names in self.pairs
        )


def golds(column: str, texts: Sequence[str], names: Sequence[Names], first: int | None) -> Golds:
    """Read an answer key.

    A reading that resolves every cell is taken, of several the first: names, letters, numbers. Numbers
    count from 0 if there is a 0, and from 1 if there is none and one is as large as its row's number of
    options.

    Args:
        column: its name, for messages.
        texts: (N,) the cells.
        names: (N,) of each row's options.
        first: the number of the first option, where it is known; then cells are numbers.

    Raises:
        InvalidInputError: the cells may be read in two ways, or none is an option in any.
    """
    cells = _Cells(texts, names)
    if first is not None:
        return Golds(cells.read(_by_number(first))[cells.of_row])
    named = [cells.read(reading) for reading in (_by_name, _by_folded_name, _by_letter)]
    best = max(named, key=cells.count)  # (the first of those that resolve most)
    base = _base(cells)
    counted = cells.read(_by_number(base or 0))
    if not cells.count(best) and not cells.count(counted):
        _refuse(column, cells)
    if cells.count(counted) < cells.count(best):
        return Golds(best[cells.of_row])
    if cells.count(counted) == cells.count(best) and (counted == best).all():
        return Golds(best[cells.of_row])
    if base is None or cells.count(counted) == cells.count(best):
        _ambiguous(column, bool(cells.count(best)))
    why = "0 occurs" if base == 0 else "0 never occurs, and the number of options does"
    return Golds(
        counted[cells.of_row],
        f"`{column}` is read as the option's number, from {base}, because {why}",
    )


def _base(cells: _Cells) -> int | None:
    """From where numbers count, if they tell."""
    if cells.any_number(lambda number, _: number == 0):
        return 0
    return 1 if cells.any_number(lambda number, names: number == len(names)) else None


def _by_name(text: str, names: Names) -> int:
    return names.index(text) if text in names else NONE


def _by_folded_name(text: str, names: Names) -> int:
    """Without regard to case, unless that makes two options one."""
    folded = [name.casefold() for name in names]
    return folded.index(text.casefold()) if folded.count(text.casefold()) == 1 else NONE


def _by_letter(text: str, names: Names) -> int:
    """A, B, C ... in order, of options that have other names; brackets and a full stop do not count."""
    letter = re.fullmatch(r"\(?([A-Za-z])[).]?", text)
    if letter is None or any(re.fullmatch(r"[A-Za-z]", name) for name in names):
        return NONE
    place = ord(letter[1].upper()) - ord("A")
    return place if place < len(names) else NONE


def _by_number(first: int) -> Reading:
    def read(text: str, names: Names) -> int:
        number = _whole(text)
        place = NONE if number is None else number - first
        return place if 0 <= place < len(names) else NONE

    return read


def _whole(text: str) -> int | None:
    whole = re.fullmatch(r"(\d{1,9})(\.0*)?", text)
    return int(whole[1]) if whole else None


def _ambiguous(column: str, named: bool) -> None:
    why = (
        "its cells are names of options and numbers of others"
        if named
        else "neither 0 nor the number of options occurs"
    )
    raise InvalidInputError(
        f"--gold {column}: whether its numbers count from 0 or from 1 cannot be told ({why}). Write "
        f"--gold {column}=0 or --gold {column}=1 (in Python `first_gold`), which is the first option's."
    )


def _refuse(column: str, cells: _Cells) -> None:
    order = np.argsort(-cells.times, kind="stable")[:8]
    listed = ", ".join(f"`{brief(cells.pairs[i][0])}` ({cells.times[i]:,})" for i in order)
    raise InvalidInputError(
        f"--gold {column}: must be an option's name ({in_words(cells.pairs[0][1])}), its letter or its "
        f"number, got {listed}."
    )


def in_words(names: Sequence[str], few: int = 8) -> str:
    """Options, the first of them if they are many."""
    listed = ", ".join(brief(name) for name in names[:few])
    return listed + (", ..." if len(names) > few else "")


def why_none(column: str, text: str, names: Names) -> str:
    """Why a cell cannot be used."""
    if not text:
        return f"`{column}` is empty"
    return f"`{column}` must be one of the row's options {in_words(names)}, got `{brief(text)}`"
