"""Read tables as runs, one for each model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.documents import document_hash
from lm_eval_calibration.logs.formats.tables.cells import text_of, texts_of
from lm_eval_calibration.logs.formats.tables.columns import Columns
from lm_eval_calibration.logs.formats.tables.contract import Bad, TableKind, Wanted
from lm_eval_calibration.logs.formats.tables.files import blocks
from lm_eval_calibration.logs.formats.tables.grouping import OTHER, runs_of
from lm_eval_calibration.logs.formats.tables.options import OptionColumns
from lm_eval_calibration.logs.formats.tables.places import TableFile, files_of
from lm_eval_calibration.logs.formats.tables.stated import StatedColumns
from lm_eval_calibration.logs.packed import Step
from lm_eval_calibration.logs.run import Run

if TYPE_CHECKING:
    from pandas import DataFrame


def read_table(
    paths: Sequence[str | Path],
    columns: Columns,
    *,
    skip_bad: bool = False,
    apart: bool = False,
    by_file: bool = False,
    step: Step | None = None,
) -> tuple[list[Run], list[str]]:
    """Read tables as runs, one for each model.

    Args:
        paths: `.csv`, `.tsv`, `.jsonl` or `.parquet` files with the same columns, folders of them,
            patterns, archives and compressed files, addresses. `label=path` names the run.
        columns: which column holds what.
        skip_bad: leave out rows that cannot be read, and say how many.
        apart: whether what several paths hold is several runs, as when they are compared; those of which
            no column and no path names the model are called by their file.
        by_file: whether several paths of which no column and no path names the model are called by their
            files, as with `apart`.
        step: called with the number of bytes unpacked or copied since the last call.

    Returns:
        The runs, in the order found, and what was left out of them.

    Raises:
        UnknownNameError: a column that a file does not have.
        InvalidInputError: another kind of file; no rows; a row of which belief or verdict is missing or
            cannot be, with its number; something that cannot be told of all of them together.
    """
    kind: TableKind = StatedColumns(columns) if columns.options is None else OptionColumns(columns)
    table = _Table(columns, kind, skip_bad)
    for file in files_of([str(path) for path in paths], columns, step):
        table.read(file)
    table.settle()
    runs = runs_of(table.rows(), table.files, kind, apart=apart, by_file=by_file and len(paths) > 1)
    return runs, table.left_out


@dataclass
class _Table:
    """The rows of all files, while they are read.

    Attributes:
        columns, kind, skip_bad: as asked for.
        files: in their order.
        parts: of each block, whose rows were taken.
        bad: of each file, what cannot be read.
        left_out: what that was, in words.
    """

    columns: Columns
    kind: TableKind
    skip_bad: bool
    files: list[TableFile] = field(default_factory=list)
    known: dict[str, None] = field(default_factory=dict)
    parts: list[DataFrame] = field(default_factory=list)
    bad: list[list[str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def read(self, file: TableFile) -> None:
        """Have the kind take a file's rows."""
        bad: list[str] = []
        self.files.append(file)
        self.bad.append(bad)
        kept = self.columns
        needed, optional, structured = self.kind.wanted
        if kept.document is not None:
            structured |= {kept.document}
        wanted = Wanted((*needed, *kept.names), optional, structured)
        for block in blocks(file.path, wanted, bad, self.known):
            if bad and not self.skip_bad:
                break
            for name, values in kept.where.items():
                block = block[block[name].astype(str).isin(values)]
            if len(block):
                bad += self._take(block, file)
        self._check(file, bad)

    def _take(self, block: DataFrame, file: TableFile) -> list[str]:
        import pandas as pd

        nameless = self._nameless(block)
        block_good = block.drop(index=block.index[list(nameless)]) if nameless else block
        wrong = self.kind.take(block_good) if len(block_good) else {}
        good = np.ones(len(block_good), dtype=bool)
        good[list(wrong)] = False
        kept = block_good[good]
        part = {"row": kept.index.to_numpy(), "file": len(self.files) - 1}
        for target, column, said in (
            ("run", self.columns.run, file.model),
            ("task", self.columns.task, file.task),
        ):
            part[target] = kept[column].map(str).to_numpy(dtype=object) if column else said
        if self.columns.document is not None:
            cells = kept[self.columns.document].tolist()
            part["document"] = np.array([document_hash(_key(cell)) for cell in cells], np.uint64)
        for column in self.columns.others:
            part[OTHER + column] = np.array(texts_of(kept[column]), dtype=object)
        self.parts.append(pd.DataFrame(part, index=range(len(kept))))
        return _in_words(nameless, block) + _in_words(wrong, block_good)

    def _nameless(self, block: DataFrame) -> dict[int, str]:
        """Rows of no model, task or document, where a column should say it."""
        columns = (self.columns.run, self.columns.task, self.columns.document)
        return {
            int(row): f"`{column}` is empty"
            for column in columns
            if column is not None
            for row in np.flatnonzero(texts_of(block[column]) == "")
        }

    def settle(self) -> None:
        """Decide what all rows decide together, and refuse or count those that are bad then."""
        import pandas as pd

        rows = pd.concat(self.parts, ignore_index=True) if self.parts else pd.DataFrame()
        if rows.empty:
            self._no_rows()
        bad = self.kind.settle(self.known)
        late: dict[int, list[str]] = {}
        for number in sorted(bad):
            place = rows.iloc[number]
            late.setdefault(int(place["file"]), []).append(f"row {place['row']}: {bad[number]}")
        for file, found in late.items():
            self.bad[file] += found
            self._check(self.files[file], found)
        self._rows = rows.drop(index=list(bad))
        for file_of, all_bad in zip(self.files, self.bad, strict=True):
            self._count(file_of, all_bad)
        if self._rows.empty:
            self._no_rows()

    def rows(self) -> DataFrame:
        """Those that are good; the index says which of those taken they are."""
        return self._rows

    def _check(self, file: TableFile, bad: Sequence[str]) -> None:
        if bad and not self.skip_bad:
            raise InvalidInputError(
                f"{file.path}, {bad[0]}. --skip-bad (in Python `skip_bad=True`) leaves such rows "
                "out and counts them."
            )

    def _count(self, file: TableFile, bad: Sequence[str]) -> None:
        if bad:
            s = "s" if len(bad) > 1 else ""
            self.left_out.append(
                f"{file.path}: {len(bad):,} row{s} left out, the first of them {bad[0]}."
            )

    def _no_rows(self) -> None:
        where = "".join(f" with `{n}` = {' or '.join(v)}" for n, v in self.columns.where.items())
        first = next((f" The first that cannot be read: {bad[0]}." for bad in self.bad if bad), "")
        names = ", ".join(str(file.path) for file in self.files[:3])
        more = f" and {len(self.files) - 3} more" if len(self.files) > 3 else ""
        raise InvalidInputError(f"{names}{more}: no rows{where}.{first}")


def _key(cell: Any) -> Any:
    """What a document is told by: a text, or what JSON has of it."""
    return cell if isinstance(cell, (dict, list)) and cell else text_of(cell)


def _in_words(bad: Bad, block: DataFrame) -> list[str]:
    return [f"row {block.index[row]}: {bad[row]}" for row in sorted(bad)]
