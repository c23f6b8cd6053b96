"""`lm-calib thresholds`: act on a belief only where it has been right often enough."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table

from lm_eval_calibration.analysis.thresholds import Threshold, between, classes, refuse_shared
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    markdown_table,
    number,
    of_tasks,
    terminal_table,
)
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.metrics.thresholds import Accepted
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.report.wording import level

HEADER = ("wanted", "threshold", "chosen on", "accepted", "precision and interval", "recall")
TESTED = (
    "accepted, precision with its 95 % interval, and recall are of --test. What was chosen on --fit is the best of many looks at its "
    "documents: the precision on --test is the one to trust, and --risk chooses one that keeps a promise."
)
PROMISE = (
    "promised: over draws of the documents that thresholds were chosen on, the precision on others of their kind is "
    "below the wanted one in 5 of 100 at most (Learn then Test). The plain threshold is the best of many looks "
    "at the same documents, and misses about every other time."
)


class TaskThreshold(NamedTuple):
    """A threshold of one task."""

    task: str
    found: Threshold
    chosen_on: int
    tested_on: int


def find(
    fitted_on: Sequence[Run],
    test: Sequence[Run],
    precisions: Sequence[float],
    by_option: bool,
    risks: Sequence[float] = (),
) -> list[TaskThreshold]:
    """Thresholds of every task that both runs have.

    Raises:
        InvalidInputError: several runs where one is wanted, no task in common, documents in
            both, or options that differ from document to document with `by_option`.
    """
    for name, values in (("--precision", precisions), ("--risk", risks)):
        for value in values:
            if not 0 < value < 1 and (name, value) != ("--precision", 1):
                raise invalid(name, "above 0 and below 1", value)
    for name, runs in (("--fit", fitted_on), ("--test", test)):
        if len(runs) != 1:
            raise InvalidInputError(f"`{name}` must be one run, got {len(runs)}.")
    there = {upstream_name(task): s for task, s in test[0].samples.items()}
    rows: list[TaskThreshold] = []
    for task, samples in fitted_on[0].samples.items():
        other = there.get(upstream_name(task))
        if other is not None:
            rows += _rows(samples, other, precisions, by_option, risks)
    if not rows:
        have = " and ".join(
            of_tasks(run.samples).removeprefix(" of ") for run in (*fitted_on, *test)
        )
        raise InvalidInputError(
            f"The runs have no task in common: {have}. A run on a task's other split has the same task: "
            'lm_eval --tasks calib_TASK --metadata \'{"split": "validation"}\'.'
        )
    return rows


def render(rows: Sequence[TaskThreshold], how: OutputFormat) -> str | None:
    """The figures in `how`, as text; `None` for the terminal, where they are printed."""
    return in_format(
        how,
        told=lambda: {"thresholds": [_flat(row) for row in rows]},
        rows=lambda: [_flat(row) for row in rows],
        markdown=lambda: _markdown(rows),
        items=lambda: _items(rows),
    )


def _markdown(rows: Sequence[TaskThreshold]) -> str:
    cells = [[row.task, row.found.accepted, *_cells(row)] for row in rows]
    return markdown_table(("task", "answer", *HEADER), cells, texts=2)


def _items(rows: Sequence[TaskThreshold]) -> list[Table | str]:
    items: list[Table | str] = []
    for task, mine in itertools.groupby(rows, key=lambda row: row.task):
        listed = list(mine)
        items += [_title(task, listed[0]), _table(listed), ""]
    items.append(TESTED)
    if any(row.found.promised for row in rows):
        items.append(PROMISE)
    return [*items, *_broken(rows)]


def _broken(rows: Sequence[TaskThreshold]) -> list[str]:
    """Why promises cannot be made."""
    risks = [
        1 - row.found.wanted for row in rows if row.found.promised and row.found.fitted is None
    ]
    if not risks:
        return []
    least = math.ceil(math.log(0.05) / math.log(1 - min(risks)))
    return [
        "not reached: with the errors among its surest answers, this many documents cannot promise it. It takes "
        f"{least:,} sure answers without an error, and about {math.ceil(1.6 / min(risks)):,} more for each error: label "
        "more documents, or take a larger --risk."
    ]


def _title(task: str, row: TaskThreshold) -> str:
    chosen, tested = f"{row.chosen_on:,}", f"{row.tested_on:,}"
    return f"{task}{', ' if task else ''}chosen on {chosen} documents, tested on {tested}"


def _table(rows: Sequence[TaskThreshold]) -> Table:
    several = len({row.found.accepted for row in rows}) > 1
    cells = [[*([row.found.accepted] if several else []), *_cells(row)] for row in rows]
    return terminal_table((*(["answer"] if several else []), *HEADER), cells, texts=(0,))


def _rows(
    fitted_on: Samples,
    test: Samples,
    precisions: Sequence[float],
    by_option: bool,
    risks: Sequence[float],
) -> list[TaskThreshold]:
    refuse_shared(fitted_on, test)
    names = None
    if by_option:
        names = classes(fitted_on)
        if names != classes(test):
            raise InvalidInputError(f"The options of `{test.task}` are not the same in both runs.")
    found = between(fitted_on.predictions, test.predictions, precisions, names, risks)
    sizes = len(fitted_on), len(test)
    return [TaskThreshold(upstream_name(test.task), threshold, *sizes) for threshold in found]


def _cells(row: TaskThreshold) -> list[str]:
    _, wanted, f, t, promised = row.found
    head = number(wanted, 2) + (", promised" if promised else "")
    if f is None or t is None:
        return [head, "not reached", "-", "-", "-", "-"]
    accepted = f"{t.number:,} ({t.share:.0%})"
    ends = f" [{number(t.low, 3)}, {number(t.high, 3)}]" if t.number else ""
    figures = [f"{number(t.precision, 3)}{ends}", number(t.recall, 3)]
    return [head, level(f.threshold), number(f.precision, 3), accepted, *figures]


def _flat(row: TaskThreshold) -> dict[str, Any]:
    nothing = float("nan")
    accepted, wanted, fitted, test, promised = row.found
    figures: dict[str, Any] = {"task": row.task, "accepted": accepted, "wanted": wanted}
    figures["promised"] = promised
    for side, found in (("fitted", fitted), ("test", test)):
        for name in Accepted._fields[1:]:
            figures[f"{side}_{name}"] = nothing if found is None else getattr(found, name)
    figures["threshold"] = nothing if fitted is None else fitted.threshold
    return figures
