"""`lm-calib thresholds`: act on a belief only where it has been right often enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table

from lm_eval_calibration._version import __version__
from lm_eval_calibration.analysis.thresholds import Threshold, between, classes, refuse_shared
from lm_eval_calibration.cli.formats import (
    Format,
    csv_table,
    dump,
    markdown_table,
    number,
    print_tables,
)
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.metrics.thresholds import Accepted
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.report.wording import level

HEADER = (
    "task", "accepted", "wanted", "threshold", "precision, fitted", "precision, test",
    "95 % interval", "recall, test", "share, test",
)  # fmt: skip


PROMISE = (
    "promised: over draws of the documents that thresholds were chosen on, the precision on others of their kind is "
    "below the wanted one in 5 of 100 at most (Learn then Test). The plain threshold is the best of many looks "
    "at the same documents, and misses about every other time."
)


class Row(NamedTuple):
    """A threshold of one task."""

    task: str
    found: Threshold


def find(
    fitted_on: Sequence[Run],
    test: Sequence[Run],
    precisions: Sequence[float],
    by_option: bool,
    risks: Sequence[float] = (),
) -> list[Row]:
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
    rows: list[Row] = []
    for task, samples in fitted_on[0].samples.items():
        other = there.get(upstream_name(task))
        if other is not None:
            rows += _rows(samples, other, precisions, by_option, risks)
    if not rows:
        raise InvalidInputError(
            f"The runs have no task in common: {', '.join(fitted_on[0].samples)} and "
            f"{', '.join(test[0].samples)}."
        )
    return rows


def render(rows: Sequence[Row], how: Format) -> str | None:
    """The figures in `how`, as text; `None` for the terminal, where they are printed."""
    if how is Format.JSON:
        return dump({"lm_eval_calibration": __version__, "thresholds": [_flat(r) for r in rows]})
    if how is Format.CSV:
        return csv_table([_flat(row) for row in rows])
    if how is Format.MARKDOWN:
        return markdown_table(HEADER, [_cells(row) for row in rows], texts=2)
    table = Table(box=None, header_style="bold")
    for i, name in enumerate(HEADER):
        table.add_column(name, justify="left" if i < 2 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    print_tables([table, *([PROMISE] if any(row.found.promised for row in rows) else [])])
    return None


def _rows(
    fitted_on: Samples,
    test: Samples,
    precisions: Sequence[float],
    by_option: bool,
    risks: Sequence[float],
) -> list[Row]:
    refuse_shared(fitted_on, test)
    names = None
    if by_option:
        names = classes(fitted_on)
        if names != classes(test):
            raise InvalidInputError(f"The options of `{test.task}` are not the same in both runs.")
    found = between(fitted_on.predictions, test.predictions, precisions, names, risks)
    return [Row(upstream_name(test.task), threshold) for threshold in found]


def _cells(row: Row) -> list[str]:
    name, wanted, f, t, promised = row.found
    head = [row.task, name, number(wanted, 2) + (", promised" if promised else "")]
    if f is None or t is None:
        return [*head, "not reached", "-", "-", "-", "-", "-"]
    ends = f"{number(t.low, 3)} to {number(t.high, 3)}"
    return [
        *head,
        level(f.threshold),
        number(f.precision, 3),
        number(t.precision, 3),
        ends,
        number(t.recall, 3),
        number(t.share, 3),
    ]


def _flat(row: Row) -> dict[str, Any]:
    nothing = float("nan")
    accepted, wanted, fitted, test, promised = row.found
    figures: dict[str, Any] = {"task": row.task, "accepted": accepted, "wanted": wanted}
    figures["promised"] = promised
    for side, found in (("fitted", fitted), ("test", test)):
        for name in Accepted._fields[1:]:
            figures[f"{side}_{name}"] = nothing if found is None else getattr(found, name)
    figures["threshold"] = nothing if fitted is None else fitted.threshold
    return figures
