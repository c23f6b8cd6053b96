"""`lm-calib ood`: does a model's uncertainty tell unfamiliar documents from familiar ones?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table

from lm_eval_calibration.analysis.detection import MEANINGS, scores
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    markdown,
    markdown_table,
    number,
)
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run
from lm_eval_calibration.metrics.detection import Detection, detect, detection_spread
from lm_eval_calibration.metrics.intervals import Spread

HEADS = {
    "auroc": "AUROC",
    "aupr": "AUPR",
    "aupr_in": "AUPR, in",
    "fpr95": "FPR at 95 % TPR",
}
HEADER = ("score", "mean, in", "mean, out", *HEADS.values())
LEGEND = (
    "Out-of-distribution documents are the positives (`AUPR, in`: the others). In brackets the "
    "95 % interval of the bootstrap over both runs' documents. The last row is what a score "
    "without skill has."
)


class DetectionRow(NamedTuple):
    """A score: its name, the means of both runs' documents, figures and their error bars."""

    score: str
    inside: float
    outside: float
    values: Detection
    spreads: tuple[Spread, ...]


class Detected(NamedTuple):
    """Two runs, how many documents each has, and a row for each score that both have."""

    inside: Run
    outside: Run
    documents: tuple[int, int]
    rows: list[DetectionRow]


def detect_all(inside: Sequence[Run], outside: Sequence[Run], replicates: int) -> Detected:
    """Tell the documents of `outside` from those of `inside` by every score that both have.

    Raises:
        InvalidInputError: several runs where one is wanted, or nothing that both have.
    """
    for name, runs in (("--in", inside), ("--out", outside)):
        if len(runs) != 1:
            labels = ", ".join(run.label for run in runs)
            raise InvalidInputError(f"`{name}` must be one run, got {len(runs)}: {labels}.")
    a, b = scores(inside[0]), scores(outside[0])
    if not set(a) & set(b):
        raise InvalidInputError(
            f"`--out` must have the kind of belief that `--in` has: one has {', '.join(a)}, the other {', '.join(b)}."
        )
    rows = [
        DetectionRow(
            name,
            float(a[name].mean()),
            float(b[name].mean()),
            detect(a[name], b[name]),
            detection_spread(a[name], b[name], replicates),
        )
        for name in MEANINGS
        if name in a and name in b
    ]
    counts = (len(next(iter(a.values()))), len(next(iter(b.values()))))
    return Detected(inside[0], outside[0], counts, rows)


def render(found: Detected, how: OutputFormat) -> str | None:
    """The figures in `how`, as text; `None` for the terminal, where they are printed."""
    return in_format(
        how,
        told=lambda: _as_json(found),
        rows=lambda: [_flat(found, row) for row in found.rows],
        markdown=lambda: _markdown(found),
        items=lambda: [_title(found), _table(found), "", LEGEND],
    )


def _markdown(found: Detected) -> str:
    table = markdown_table(HEADER, _rows(found), texts=1)
    return f"**{markdown(_title(found))}**\n\n{table}\n\n{LEGEND}"


def _table(found: Detected) -> Table:
    table = Table(box=None, header_style="bold")
    for i, name in enumerate(HEADER):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in _rows(found):
        table.add_row(*row)
    return table


def _rows(found: Detected) -> list[list[str]]:
    return [*map(_cells, found.rows), _chance(found)]


def _title(found: Detected) -> str:
    n, m = found.documents
    return f"{_name(found.outside)} ({m:,} documents) told from {_name(found.inside)} ({n:,})"


def _name(run: Run) -> str:
    named = [name for name in run.samples if name]
    files = dict.fromkeys(s.path.name for s in run.samples.values())
    tasks = ", ".join(named) or run.label or ", ".join(files)
    return tasks if len(run.samples) < 4 else f"{len(run.samples)} tasks of {run.label}"


def _cells(row: DetectionRow) -> list[str]:
    figures = [
        f"{number(float(value), 3)} [{number(spread.low, 3)}, {number(spread.high, 3)}]"
        for value, spread in zip(row.values, row.spreads, strict=True)
    ]
    return [row.score, number(row.inside), number(row.outside), *figures]


def _chance(found: Detected) -> list[str]:
    n, m = found.documents
    shares = [0.5, m / (n + m), n / (n + m), 0.95]
    return ["no skill", "", "", *(number(share, 3) for share in shares)]


def _figures(row: DetectionRow) -> dict[str, Any]:
    return {
        name: {"value": float(value), **spread._asdict()}
        for name, value, spread in zip(Detection._fields, row.values, row.spreads, strict=True)
    }


def _as_json(found: Detected) -> dict[str, Any]:
    sides = (found.inside, found.outside)
    return {
        **{
            side: {"run": run.label, "tasks": list(run.samples), "documents": count}
            for side, run, count in zip(("in", "out"), sides, found.documents, strict=True)
        },
        "scores": {
            row.score: {"mean_in": row.inside, "mean_out": row.outside, **_figures(row)}
            for row in found.rows
        },
    }


def _flat(found: Detected, row: DetectionRow) -> dict[str, Any]:
    figures = {
        f"{name}{'' if part == 'value' else '_' + part}": value
        for name, parts in _figures(row).items()
        for part, value in parts.items()
    }
    return {
        "in": _name(found.inside),
        "out": _name(found.outside),
        "documents_in": found.documents[0],
        "documents_out": found.documents[1],
        "score": row.score,
        "mean_in": row.inside,
        "mean_out": row.outside,
        **figures,
    }
