"""`lm-calib sets`: so many options that the right one is among them as often as wanted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from lm_eval_calibration.analysis.conformal import TaskSets, between
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    markdown_table,
    number,
    terminal_table,
)
from lm_eval_calibration.cli.outputs import say_where, write_lines
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run
from lm_eval_calibration.ragged import starts_of

HEADER = (
    "task", "fitted on", "documents", "coverage", "95 % interval", "mean size", "single", "right of these",
    "empty", "least by size",
)  # fmt: skip

NARROW = ("task", "documents", "coverage", "size", "single", "right", "least")
"""For the terminal."""


def find(
    fitted_on: Sequence[Run], test: Sequence[Run] | None, coverage: float, score: str
) -> list[TaskSets]:
    """The sets of every task that both runs have; without a test those of half of the documents.

    Raises:
        InvalidInputError: several runs where one is wanted, or as `between`.
    """
    for name, runs in (("--fit", fitted_on), ("--test", test)):
        if runs is not None and len(runs) != 1:
            raise InvalidInputError(f"`{name}` must be one run, got {len(runs)}.")
    return between(fitted_on[0], test[0] if test else None, coverage, score)


def render(found: Sequence[TaskSets], coverage: float, score: str, how: OutputFormat) -> str | None:
    """The figures in `how`, as text; `None` for the terminal, where they are printed."""
    return in_format(
        how,
        told=lambda: {"coverage": coverage, "score": score, "sets": [_flat(t) for t in found]},
        rows=lambda: [_row(task) for task in found],
        markdown=lambda: markdown_table(HEADER, [_cells(task) for task in found], texts=1),
        items=lambda: _items(found, coverage, score),
    )


def _items(found: Sequence[TaskSets], coverage: float, score: str) -> list[Table | str]:
    table = terminal_table(NARROW, map(_few, found), texts=(0,))
    return [table, "", in_words(found, coverage, score)]


def in_words(found: Sequence[TaskSets], coverage: float, score: str) -> str:
    """What the promise is."""
    few = [task.task for task in found if math.isinf(task.threshold)]
    words = (
        f"Sets by {score}, wanted coverage {coverage:g}: of documents like those that the threshold was found on, as many "
        f"or more hold a right option, averaged over draws of both (here {found[-1].fitted_on:,}). size: options in a set, on "
        "average; single: sets of one option, and how many of these are right. Coverage is not promised for each size: the "
        "last column is the least of sizes with ten documents or more."
    )
    if few:
        least = math.ceil(coverage / (1 - coverage) - 1e-9)
        words += (
            f" Of {', '.join(few)} there are too few documents to find a threshold on ({least} are needed): sets hold "
            "every option."
        )
    return words


def write(found: Sequence[TaskSets], output: Path, overwrite: bool) -> None:
    """A line for each document: its set, and whether a right option is in it."""
    write_lines(output, _lines(found), overwrite)
    say_where(output)


def _lines(found: Sequence[TaskSets]) -> Iterator[dict[str, Any]]:
    for task in found:
        samples = task.samples
        if samples is None or samples.predictions.options is None:
            continue
        starts = starts_of(samples.predictions.options.count)
        for row in range(len(samples)):
            inside = task.sets.inside[starts[row] : starts[row + 1]]
            known = len(samples.doc_hash) == len(samples)
            yield {
                "task": samples.task,
                "doc_hash": f"{int(samples.doc_hash[row]):016x}" if known else None,
                "row": row,
                "set": np.flatnonzero(inside).tolist(),
                "covered": bool(task.sets.covered[row]),
            }


def _cells(task: TaskSets) -> list[str]:
    f = task.figures
    return [
        task.task,
        f"{task.fitted_on:,}",
        f"{f.documents:,}",
        number(f.coverage, 3),
        f"{number(f.low, 3)} to {number(f.high, 3)}",
        number(f.size, 2),
        number(f.single, 3),
        number(f.single_accuracy, 3),
        number(f.empty, 3),
        number(f.stratified, 3),
    ]


def _few(task: TaskSets) -> list[str]:
    """Those that a terminal has room for."""
    name, _, documents, coverage, ends, size, single, right, _, least = _cells(task)
    low, _, high = ends.partition(" to ")
    return [name, documents, f"{coverage} [{low}, {high}]", size, single, right, least]


def _row(task: TaskSets) -> dict[str, Any]:
    flat = _flat(task)
    return {**flat, "by_size": json.dumps(flat["by_size"])}


def _flat(task: TaskSets) -> dict[str, Any]:
    told = task.figures._asdict()
    by_size = {str(size): value for size, value in told.pop("by_size").items()}
    told |= {"least_by_size": task.figures.stratified, "by_size": by_size}
    return {"task": task.task, "fitted_on": task.fitted_on, "threshold": task.threshold, **told}
