"""Tables of confidences: any CSV, JSON lines or Parquet file with a confidence and a verdict."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError, unknown_name
from lm_eval_calibration.logs.formats.harness.line import shown
from lm_eval_calibration.logs.formats.harness.lines import lines_of
from lm_eval_calibration.logs.formats.verdict_cells import VerdictCells
from lm_eval_calibration.logs.nothing import check_whole
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.redact import redact

if TYPE_CHECKING:
    from pandas import DataFrame, Series

BLOCK_ROWS = 200_000
_VERDICTS = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}


TABLES = (".csv", ".jsonl", ".parquet")
"""Endings of tables that are read."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table hold what.

    Attributes:
        confidence: probabilities in [0, 1].
        correct: 0 and 1, or true and false; with `correct_value`, right is that value alone.
        correct_value: the value of `correct` that means right, as text.
        run: the column that names the model, if there are several.
        task: the column that names the task, if there are several.
        where: rows are kept if each of these columns has one of its values, as text.
    """

    confidence: str
    correct: str
    correct_value: str | None = None
    run: str | None = None
    task: str | None = None
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All columns, each once."""
        optional = [name for name in (self.run, self.task) if name]
        return list(dict.fromkeys([self.confidence, self.correct, *optional, *self.where]))


def read_table(
    paths: list[Path], columns: Columns, *, skip_bad: bool = False
) -> tuple[list[Run], list[str]]:
    """Read tables of confidences as runs, one for each value of `columns.run`.

    Args:
        paths: `.csv`, `.jsonl` or `.parquet` files with the same columns.
        columns: which column holds what.
        skip_bad: leave out rows that cannot be read, and say how many.

    Returns:
        The runs, in the order found, and what was left out of them.

    Raises:
        UnknownNameError: a column that the file does not have.
        InvalidInputError: another kind of file; no rows; a confidence that is missing, NaN or
            outside [0, 1], or a verdict that is neither right nor wrong, with its row; a
            `correct_value` that no row has.
    """
    import pandas as pd

    blocks, notes = [], []
    cells = _cells(columns)
    known: dict[str, None] = {}
    for path in paths:
        check_whole(path)
        bad: list[str] = []
        for block in _blocks(path, columns.names, bad, known):
            good, wrong = _clean(block, columns, cells)
            bad += wrong
            if bad and not skip_bad:
                break
            blocks.append(good.assign(file=str(path)))
        if bad and not skip_bad:
            raise InvalidInputError(
                f"{path}, {bad[0]}. --skip-bad (in Python `skip_bad=True`) leaves such rows "
                "out and counts them."
            )
        if bad:
            s = "s" if len(bad) > 1 else ""
            notes.append(f"{path}: {len(bad):,} row{s} left out, the first of them {bad[0]}.")
    table = pd.concat(blocks) if blocks else None
    if table is None or table.empty:
        kept = "".join(f" with `{name}` = {' or '.join(v)}" for name, v in columns.where.items())
        raise InvalidInputError(f"{', '.join(map(str, paths))}: no rows{kept}.")
    if cells is not None:
        cells.check(known)
    return _runs(table, () if cells is None else cells.notes()), notes


def _cells(columns: Columns) -> VerdictCells | None:
    """Where one value means right, what is to be known of the others."""
    right = columns.correct_value
    return None if right is None else VerdictCells(columns.correct, right)


def _runs(table: DataFrame, notes: tuple[str, ...]) -> list[Run]:
    runs: dict[str, dict[str, Samples]] = {}
    labels = _labels(table["run"].unique())
    for (named, task), rows in table.groupby(["run", "task"], sort=False):
        run = labels[named]
        predictions = Predictions.from_confidences(
            rows["confidence"].to_numpy(), rows["correct"].to_numpy()
        )
        path = Path(rows["file"].iloc[0])
        runs.setdefault(run, {})[task] = Samples(run, task, path, predictions, notes=notes)
    return [Run(label, samples) for label, samples in runs.items()]


def _labels(names: Iterable[str]) -> dict[str, str]:
    """Names of runs without secrets, told apart by a number where that makes two of them one."""
    labels: dict[str, str] = {}
    for name in names:
        plain = redact(name)
        number = list(map(redact, labels)).count(plain) + 1 if plain != name else 1
        labels[name] = f"{plain} ({number})" if number > 1 else plain
    return labels


def _blocks(
    path: Path, names: list[str], bad: list[str], known: dict[str, None]
) -> Iterator[DataFrame]:
    """The wanted columns of a file, block by block; the index counts rows, or lines, from 1.

    What is no row is added to `bad`, and the file's columns to `known`.
    """
    if not os.path.isfile(path):
        raise InvalidInputError(f"{path} does not exist.")
    if path.suffix == ".jsonl":
        return _json_lines(path, names, bad, known)
    readers = {".csv": _csv, ".parquet": _parquet}
    if path.suffix not in readers:
        kinds = ", ".join(TABLES)
        raise InvalidInputError(
            f"{path} must be a {kinds} file to have columns, got `{path.suffix}`."
        )
    return readers[path.suffix](path, names, known)


def _csv(path: Path, names: list[str], known: dict[str, None]) -> Iterator[DataFrame]:
    import pandas as pd

    try:
        known |= dict.fromkeys(pd.read_csv(path, nrows=0).columns)
        _check_columns(path, names, list(pd.read_csv(path, nrows=0).columns))
        with pd.read_csv(path, usecols=names, dtype=str, chunksize=BLOCK_ROWS) as blocks:
            for block in blocks:
                block.index += 1
                yield block
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} cannot be read as CSV: {error}.") from None


def _parquet(path: Path, names: list[str], known: dict[str, None]) -> Iterator[DataFrame]:
    import pyarrow
    from pyarrow.parquet import ParquetFile

    start = 1
    try:
        file = ParquetFile(path)
        known |= dict.fromkeys(file.schema_arrow.names)
        _check_columns(path, names, file.schema_arrow.names)
        for batch in file.iter_batches(BLOCK_ROWS, columns=names):
            block = batch.to_pandas()
            block.index = range(start, start + len(block))
            start += len(block)
            yield block
    except (pyarrow.ArrowException, OSError) as error:
        raise InvalidInputError(f"{path} cannot be read as Parquet: {error}.") from None


def _json_lines(
    path: Path, names: list[str], bad: list[str], known: dict[str, None]
) -> Iterator[DataFrame]:
    import pandas as pd

    rows: dict[int, dict[str, Any]] = {}
    fields: dict[str, None] | None = {}  # until the first block has been checked
    for number, (_, line) in enumerate(lines_of(path), start=1):
        if not line.strip():
            continue
        try:
            row = json_text.loads(line)
        except json_text.InvalidJSONError as error:
            bad.append(f"line {number}: {error}")
            continue
        if not isinstance(row, dict):
            bad.append(f"line {number}: no JSON object")
            continue
        if fields is not None:
            fields |= dict.fromkeys(row)
        rows[number] = {name: _value(row.get(name)) for name in names}
        if len(rows) == BLOCK_ROWS:
            if fields is not None:
                _check_columns(path, names, list(fields))
                known |= fields
            yield pd.DataFrame.from_dict(rows, orient="index", columns=names)
            rows, fields = {}, None
    if rows:
        if fields is not None:
            _check_columns(path, names, list(fields))
            known |= fields
        yield pd.DataFrame.from_dict(rows, orient="index", columns=names)


def _value(value: Any) -> Any:
    """A cell: what UTF-8 cannot hold becomes a question mark, and what is no scalar a short text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and value.bit_length() > 1000:
        return math.copysign(math.inf, value)
    return value if isinstance(value, (int, float, type(None))) else shown(value)


def _check_columns(path: Path, names: list[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise unknown_name(f"column in {path}:", name, known)


def _clean(
    block: DataFrame, columns: Columns, cells: VerdictCells | None
) -> tuple[DataFrame, list[str]]:
    """The rows asked for, as confidence, correct, run and task; and what is wrong with others."""
    import pandas as pd

    for name, values in columns.where.items():
        block = block[block[name].astype(str).isin(values)]
    confidence = pd.to_numeric(block[columns.confidence], errors="coerce").astype(float)
    right = _verdicts(block[columns.correct], cells)
    out_of_range = ~confidence.between(0, 1)  # NaN is not between
    bad = out_of_range | right.isna()
    wrong = [
        f"row {row}: `{columns.confidence}` must be in [0, 1], got `{_brief(block.at[row, columns.confidence])}`"
        if out_of_range[row]
        else f"row {row}: `{columns.correct}` must be 0 or 1 (or true or false), got "
        f"`{_brief(block.at[row, columns.correct])}`; write --correct {columns.correct}=VALUE for a value "
        "that means right"
        for row in block.index[bad]
    ]
    kept = block[~bad]
    good = pd.DataFrame({"confidence": confidence[~bad], "correct": right[~bad].astype(bool)})
    for target, column in (("run", columns.run), ("task", columns.task)):
        good[target] = kept[column].astype(str) if column else ""
    return good, wrong


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) < 60 else text[:60] + "..."


def _verdicts(column: Series, cells: VerdictCells | None) -> Series:
    """True, False, or missing for each row."""
    import pandas as pd

    if cells is not None:
        return cells.are_right(column).astype(object).where(column.notna(), np.nan)
    words = column.map(lambda value: _VERDICTS.get(str(value).lower(), np.nan))
    return pd.Series(words, dtype=object)
