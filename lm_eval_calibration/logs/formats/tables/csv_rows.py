"""The rows of a CSV file, each with as many cells as the header, or none of them is believed."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_calibration.errors import InvalidInputError

if TYPE_CHECKING:
    from pandas import DataFrame

SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "bars"}
"""What else files called CSV have between cells."""
MISSING = ("", "NA")
Find = Callable[[list[str]], list[str]]
"""`find(columns of the file)` gives those to read, or raises."""


def csv_rows(path: Path, find: Find, bad: list[str], size: int) -> Iterator[DataFrame]:
    """The columns to read, as texts, so many rows at a time; the index counts rows from 1.

    Rows with more or fewer cells than the header are added to `bad`.

    Raises:
        InvalidInputError: no header, cells that are not separated as the ending says, a column to read that
            stands there twice, or another encoding than UTF-8.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=separator)
            header = next(rows, None)
            if header is None:
                raise InvalidInputError(f"{path} cannot be read as CSV: it is empty.")
            yield from _blocks(path, header, rows, _places(path, header, find), bad, size)
    except UnicodeDecodeError as error:
        raise InvalidInputError(
            f"{path} cannot be read as CSV: it is no UTF-8 ({error}). Save it as UTF-8."
        ) from None
    except csv.Error as error:
        raise InvalidInputError(f"{path} cannot be read as CSV: {error}.") from None


def _places(path: Path, header: list[str], find: Find) -> dict[str, int]:
    """Where the columns to read are."""
    if len(header) == 1:
        for sign, name in SEPARATORS.items():
            if sign in header[0]:
                raise InvalidInputError(
                    f"{path} has {name} between its cells: save it with commas (and points in numbers), or a file "
                    "with tabs as .tsv."
                )
    names = find(header)
    for name in names:
        if header.count(name) > 1:
            raise InvalidInputError(
                f"{path} has {header.count(name)} columns called `{name}`: which one is meant is not known."
            )
    return {name: header.index(name) for name in names}


def _blocks(
    path: Path,
    header: Sequence[str],
    rows: Iterator[list[str]],
    places: dict[str, int],
    bad: list[str],
    size: int,
) -> Iterator[DataFrame]:
    import pandas as pd

    kept: list[list[str | None]] = []
    numbers: list[int] = []
    count = 0
    for row in rows:
        if not row:
            continue  # (a blank line)
        count += 1
        while len(row) > len(header) and not row[-1]:
            row.pop()  # (commas at the end of a line)
        if len(row) != len(header):
            bad.append(f"row {count}: it has {len(row)} cells, the header {len(header)}")
            continue
        numbers.append(count)
        kept.append([None if row[i] in MISSING else row[i] for i in places.values()])
        if len(kept) == size:
            yield pd.DataFrame(kept, columns=list(places), index=numbers, dtype=object)
            kept, numbers = [], []
    if kept or not count:
        yield pd.DataFrame(kept, columns=list(places), index=numbers, dtype=object)
