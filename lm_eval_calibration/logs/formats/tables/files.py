"""The rows of a table's file, block by block: CSV, tab-separated, JSON lines or Parquet."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError, unknown_name
from lm_eval_calibration.logs.formats.harness.bad import shown
from lm_eval_calibration.logs.formats.harness.lines import lines_of
from lm_eval_calibration.logs.formats.tables.contract import Wanted
from lm_eval_calibration.logs.formats.tables.csv_rows import csv_rows
from lm_eval_calibration.logs.nothing import check_whole

if TYPE_CHECKING:
    from pandas import DataFrame

BLOCK_ROWS = 200_000
ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")


def is_table(path: Path) -> bool:
    """Whether a file may be a table, by its ending."""
    return path.suffix.lower() in ENDINGS


def blocks(
    path: Path, wanted: Wanted, bad: list[str], known: dict[str, None]
) -> Iterator[DataFrame]:
    """The wanted columns of a file; the index counts rows, or lines, from 1.

    What is no row is added to `bad`, and the file's columns to `known`.

    Raises:
        UnknownNameError: a column that the file does not have.
        InvalidInputError: another kind of file, or one that cannot be read.
    """
    if not os.path.isfile(path):
        raise InvalidInputError(f"{path} does not exist.")
    ending = path.suffix.lower()
    check_whole(path)
    if ending not in ENDINGS:
        raise InvalidInputError(
            f"{path} must be a {', '.join(ENDINGS)} file to have columns, got `{path.suffix}`."
        )
    if ending == ".jsonl":
        return _json_lines(path, wanted, bad, known)
    if ending == ".parquet":
        return _parquet(path, wanted, known)
    return csv_rows(path, lambda there: _found(path, wanted, there, known), bad, BLOCK_ROWS)


def _parquet(path: Path, wanted: Wanted, known: dict[str, None]) -> Iterator[DataFrame]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    start = 1
    try:
        file = ParquetFile(path)
        names = _found(path, wanted, file.schema_arrow.names, known)
        for batch in file.iter_batches(BLOCK_ROWS, columns=names):
            block = batch.to_pandas()
            block.index = range(start, start + len(block))
            start += len(block)
            yield block
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidInputError(f"{path} cannot be read as Parquet: {error}.") from None


def _json_lines(
    path: Path, wanted: Wanted, bad: list[str], known: dict[str, None]
) -> Iterator[DataFrame]:
    names = list(dict.fromkeys([*wanted.needed, *wanted.optional]))
    rows: dict[int, dict[str, Any]] = {}
    fields: dict[str, None] = {}
    checked = False
    for number, row in _objects(path, bad):
        if not checked:
            fields |= dict.fromkeys(row)
        rows[number] = {
            name: _whole(row.get(name)) if name in wanted.structured else _value(row.get(name))
            for name in names
        }
        if len(rows) == BLOCK_ROWS:
            names = names if checked else _found(path, wanted, list(fields), known)
            checked = True
            yield _frame(rows, names)
            rows = {}
    if rows:
        yield _frame(rows, names if checked else _found(path, wanted, list(fields), known))


def _objects(path: Path, bad: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number and the content of each line that is an object."""
    for number, (_, line) in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        try:
            row = json_text.loads(line)
        except json_text.InvalidJSONError as error:
            bad.append(f"line {number}: {error}")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            bad.append(f"line {number}: no JSON object")


def _frame(rows: Mapping[int, Mapping[str, Any]], names: Sequence[str]) -> DataFrame:
    import pandas as pd

    columns = {name: [row[name] for row in rows.values()] for name in names}
    return pd.DataFrame(columns, index=list(rows))


def _value(value: Any) -> Any:
    """A cell: what UTF-8 cannot hold becomes a question mark, and what is no scalar a short text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and value.bit_length() > 1000:
        return math.inf if value > 0 else -math.inf
    return value if isinstance(value, (int, float, type(None))) else shown(value)


def _whole(value: Any) -> Any:
    """A cell of which lists and dictionaries stay, but for what is in them."""
    if isinstance(value, dict):
        return {_value(name): _whole(each) for name, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else _value(value)


def _found(path: Path, wanted: Wanted, there: list[str], known: dict[str, None]) -> list[str]:
    """The columns to read, of those that a file has."""
    known |= dict.fromkeys(there)
    for name in wanted.needed:
        if name not in there:
            raise unknown_name(f"column in {path}:", name, there)
    optional = [name for name in wanted.optional if name in there]
    return list(dict.fromkeys([*wanted.needed, *optional]))
