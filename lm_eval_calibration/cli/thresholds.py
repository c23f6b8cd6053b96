"""`lm-calib thresholds`: act on a belief only where it has been right often enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from lm_eval_calibration._version import __version__
from lm_eval_calibration.cli.formats import (
    Format,
    csv_table,
    dump,
    markdown_table,
    number,
    print_tables,
)
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.thresholds import Accepted, accept, reach
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Bools, Floats
from lm_eval_calibration.samples import Run, Samples, read_documents

ANSWERS = "any answer"
HEADER = (
    "task", "accepted", "wanted", "threshold", "precision, fitted", "precision, test",
    "95 % interval", "recall, test", "share, test",
)  # fmt: skip


class Row(NamedTuple):
    """A threshold of one task: of all answers by their confidence, or of one option.

    fitted, test: `None` where the precision cannot be reached.
    """

    task: str
    accepted: str
    wanted: float
    fitted: Accepted | None
    test: Accepted | None


def find(
    fitted_on: Sequence[Run], test: Sequence[Run], precisions: Sequence[float], by_option: bool
) -> list[Row]:
    """Thresholds of every task that both runs have.

    Raises:
        InvalidInputError: several runs where one is wanted, no task in common, documents in
            both, or options that differ from document to document with `by_option`.
    """
    for name, runs in (("--fit", fitted_on), ("--test", test)):
        if len(runs) != 1:
            raise InvalidInputError(f"`{name}` must be one run, got {len(runs)}.")
    there = {upstream_name(task): s for task, s in test[0].samples.items()}
    rows = []
    for task, samples in fitted_on[0].samples.items():
        other = there.get(upstream_name(task))
        if other is not None:
            _refuse_shared(samples, other)
            rows += list(_rows(samples, other, precisions, by_option))
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
    print_tables([table])
    return None


def _refuse_shared(a: Samples, b: Samples) -> None:
    both = len(np.intersect1d(a.doc_hash, b.doc_hash))
    if both:
        raise InvalidInputError(
            f"{both:,} document(s) of `{b.task}` are in both runs: a threshold that was chosen on "
            "them flatters itself. Test it on others."
        )


def _rows(
    fitted_on: Samples, test: Samples, precisions: Sequence[float], by_option: bool
) -> Iterator[Row]:
    columns = zip(_columns(fitted_on, by_option), _columns(test, by_option), strict=True)
    for (name, scores, positive), (_, test_scores, test_positive) in columns:
        for wanted in precisions:
            threshold = reach(scores, positive, wanted)
            fitted = None if threshold is None else accept(scores, positive, threshold)
            given = None if threshold is None else accept(test_scores, test_positive, threshold)
            yield Row(upstream_name(test.task), name, wanted, fitted, given)


def _columns(samples: Samples, by_option: bool) -> list[tuple[str, Floats, Bools]]:
    """(what is accepted, scores, positives): of answers, or of each option against the rest."""
    p = samples.predictions
    if not by_option:
        return [(ANSWERS, p.confidence, np.asarray(p.correct, dtype=bool))]
    if p.probabilities is None or p.gold is None:
        raise InvalidInputError(
            f"`{samples.task}` ({samples.path}) logged confidences alone: leave --by-option out."
        )
    first, last = read_documents(samples, [0, len(samples) - 1])
    if first.options != last.options:
        raise InvalidInputError(
            f"`{samples.task}`: the options differ from document to document, so they are no "
            "classes: leave --by-option out."
        )
    return [(name, p.probabilities[:, k], p.gold[:, k]) for k, name in enumerate(first.options)]


def _cells(row: Row) -> list[str]:
    head = [row.task, row.accepted, number(row.wanted, 2)]
    if row.fitted is None or row.test is None:
        return [*head, "not reached", "-", "-", "-", "-", "-"]
    f, t = row.fitted, row.test
    ends = f"{number(t.low, 3)} to {number(t.high, 3)}"
    return [
        *head,
        number(f.threshold, 3),
        number(f.precision, 3),
        number(t.precision, 3),
        ends,
        number(t.recall, 3),
        number(t.share, 3),
    ]


def _flat(row: Row) -> dict[str, Any]:
    nothing = float("nan")
    figures: dict[str, Any] = {"task": row.task, "accepted": row.accepted, "wanted": row.wanted}
    for side, found in (("fitted", row.fitted), ("test", row.test)):
        for name in Accepted._fields[1:]:
            figures[f"{side}_{name}"] = nothing if found is None else getattr(found, name)
    figures["threshold"] = nothing if row.fitted is None else row.fitted.threshold
    return figures
