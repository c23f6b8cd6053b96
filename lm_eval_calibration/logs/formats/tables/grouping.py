"""Rows of tables as runs: each model's, task by task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables.contract import TableKind
from lm_eval_calibration.logs.formats.tables.places import TableFile
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.redact import redact

if TYPE_CHECKING:
    from pandas import DataFrame


OTHER = "other: "
"""Before the names of columns that are kept as texts."""


def runs_of(
    rows: DataFrame,
    files: Sequence[TableFile],
    kind: TableKind,
    *,
    apart: bool = False,
    by_file: bool = False,
) -> list[Run]:
    """The runs, in the order of the rows.

    Args:
        rows: `run`, `task`, `file` and, where it is known, `document` of each; the index says which of
            those that the kind took it is.
        files: by number.
        kind: which makes predictions of them.
        apart: see `read_table`.
        by_file: likewise.

    Raises:
        InvalidInputError: a label before several models, or a model's task in two paths.
    """
    rows = _named(rows, files, apart or by_file)
    if apart:
        _check_apart(rows, files)
    predictions = kind.predictions(rows.index.to_numpy(dtype=np.intp))
    rows = rows.reset_index(drop=True)
    labels, notes = _labels(rows["run"].unique()), kind.notes()
    runs: dict[str, dict[str, Samples]] = {}
    for (named, task), part in rows.groupby(["run", "task"], sort=False):
        label, places = labels[named], part.index.to_numpy(dtype=np.intp)
        documents = np.empty(0, np.uint64)
        if "document" in part:
            documents = part["document"].to_numpy(dtype=np.uint64)
        runs.setdefault(label, {})[task] = Samples(
            label,
            task,
            Path(files[int(part["file"].iloc[0])].path),
            predictions.take(places),
            doc_hash=documents,
            columns={
                name.removeprefix(OTHER): part[name].to_numpy(dtype=object)
                for name in part
                if name.startswith(OTHER)
            },
            notes=(*notes, *_twice(documents)),
        )
    return [Run(label, samples) for label, samples in runs.items()]


def _named(rows: DataFrame, files: Sequence[TableFile], by_file: bool) -> DataFrame:
    """With the labels that stand before paths, or the files' names where runs are to be told apart."""
    place = np.array([file.place for file in files])[rows["file"]]
    kept = []
    for number in dict.fromkeys(place.tolist()):
        mine = rows[place == number]
        file = files[int(mine["file"].iloc[0])]
        models = mine["run"].unique().tolist()
        if file.label:
            mine = _of_label(mine, file, models)
        elif by_file and models == [""]:
            mine = mine.assign(run=file.name)
        kept.append(mine.assign(place=number))
    import pandas as pd

    return pd.concat(kept)


def _of_label(rows: DataFrame, file: TableFile, models: Sequence[str]) -> DataFrame:
    """The label's only model, or that of several which it names."""
    if len(models) > 1 and file.label in models:
        return rows[rows["run"] == file.label]
    if len(models) > 1:
        raise InvalidInputError(
            f"{file.label}={file.path} holds several models; name one: {', '.join(models[:8])}."
        )
    return rows.assign(run=file.label)


def _check_apart(rows: DataFrame, files: Sequence[TableFile]) -> None:
    """Refuse a model's task that stands in two paths: they are one run, and cannot be compared."""
    first: dict[tuple[str, str], int] = {}
    for number, part in rows.groupby("place", sort=False):
        for run, task in part[["run", "task"]].drop_duplicates().itertuples(index=False):
            other = first.setdefault((run, task), number)
            mine, theirs = (next(f for f in files if f.place == each) for each in (number, other))
            if other != number and not mine.label:
                raise InvalidInputError(
                    f"{theirs.path} and {mine.path} both hold the run `{run}`: name each, as "
                    f"first={theirs.path} second={mine.path}."
                )


def _labels(names: Iterable[str]) -> dict[str, str]:
    """Names of runs without secrets, told apart by a number where that makes two of them one."""
    labels: dict[str, str] = {}
    for name in names:
        plain = redact(name)
        number = list(map(redact, labels)).count(plain) + 1 if plain != name else 1
        labels[name] = f"{plain} ({number})" if number > 1 else plain
    return labels


def _twice(documents: np.ndarray) -> tuple[str, ...]:
    """That a document stands in several rows."""
    again = len(documents) - len(np.unique(documents))
    if not again:
        return ()
    rows = "1 row has" if again == 1 else f"{again:,} rows have"
    return (f"{rows} a document that stood before: such are paired in their order",)
