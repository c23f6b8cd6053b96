"""`lm-calib score --by FIELD`: metrics of groups of documents, and which of them differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.table import Table

from lm_eval_calibration.analysis.subgroups import Group, Subgroups, by_field
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    interval,
    markdown,
    markdown_table,
    number,
    terminal_table,
    titled,
)
from lm_eval_calibration.cli.progress import working
from lm_eval_calibration.cli.score import title
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.logs import Run, Scope, scopes
from lm_eval_calibration.metrics.paired import ALPHA
from lm_eval_calibration.normalisation import parted
from lm_eval_calibration.report.groups import notes

LEGEND = (
    "* differs from the rest by more than as many documents drawn at random do (permutation test, p < 0.05 "
    "after Holm over the groups and metrics of the table). ece: beside it what a calibrated model would score."
)


def find(
    runs: Sequence[Run],
    name: str,
    metrics: Sequence[str] | None,
    replicates: int,
    together: bool = True,
) -> list[Subgroups]:
    """Every task and group of tasks whose documents differ in a field.

    With `together`, where they do in none (each MMLU task has one subject), all of a run's.

    Raises:
        InvalidInputError: nowhere do they; a normalised metric; as `by_field`.
    """
    for metric in metrics or ():
        if parted(metric)[1]:
            raise InvalidInputError(f"--by takes plain metrics, got `{metric}`.")
    found = _found([scope for run in runs for scope in scopes(run)], name, metrics, replicates)
    if not found and together:
        whole = [Scope(r.label, "all tasks", tuple(r.samples.values()), pooled=True) for r in runs]
        found = _found(whole, name, metrics, replicates)
    if not found:
        each = "each task" if sum(len(run.samples) for run in runs) > 1 else "the task"
        raise InvalidInputError(f"All documents of {each} have the same `{name}`.")
    return found


def _found(
    wanted: Sequence[Scope], name: str, metrics: Sequence[str] | None, replicates: int
) -> list[Subgroups]:
    found: list[Subgroups | None] = []
    lacking: list[UnknownNameError] = []
    with working("scoring", len(wanted), len(wanted) > 3) as progress:
        for scope in wanted:
            try:
                found.append(by_field(scope, name, metrics, replicates=replicates))
            except UnknownNameError as error:  # (another task may have it)
                lacking.append(error)
            if progress is not None:
                progress(scope.name)
    if lacking and not found:
        raise lacking[0]
    return [each for each in found if each is not None]


def render(found: Sequence[Subgroups], how: OutputFormat) -> str | None:
    """The groups in `how`, as text; `None` for the terminal, where they are printed."""
    several = len({each.scope.run for each in found}) > 1
    return in_format(
        how,
        told=lambda: {"groups": [_as_json(each) for each in found]},
        rows=lambda: [row for each in found for row in _flat(each)],
        markdown=lambda: _markdown(found, several),
        items=lambda: _items(found, several),
    )


def _markdown(found: Sequence[Subgroups], several: bool) -> str:
    parts = []
    for each in found:
        parts += [
            f"**{markdown(_title(each, several))}**",
            markdown_table(_header(each), _rows(each), texts=1),
            markdown(" ".join(notes(each))),
        ]
    return "\n\n".join([*parts, markdown(LEGEND)])


def _items(found: Sequence[Subgroups], several: bool) -> list[Table | str]:
    items: list[Table | str] = []
    for each in found:
        table = terminal_table(_header(each), _rows(each), texts=(0,))
        items += [_title(each, several), table, *notes(each), ""]
    return [*items, LEGEND]


def _title(each: Subgroups, several: bool) -> str:
    return f"{title(each.scope, several)}, by {each.field}"


def _header(each: Subgroups) -> list[str]:
    return [each.field, "documents", *map(titled, each.groups[0].estimates)]


def _rows(each: Subgroups) -> list[list[str]]:
    return [_cells(group) for group in each.groups]


def _cells(group: Group) -> list[str]:
    cells = []
    for name, e in group.estimates.items():
        mark = "* " if group.p_values[name] < ALPHA else ""
        band = f" ({interval(e.null.low, e.null.high)})" if name == "ece" and e.null else ""
        cells.append(f"{mark}{number(e.value, 3)}{band}")
    return [group.value, f"{group.documents:,}", *cells]


def _flat(each: Subgroups) -> Iterator[dict[str, Any]]:
    for group in each.groups:
        for name, e in group.estimates.items():
            yield {
                "run": each.scope.run,
                "name": each.scope.name,
                "by": each.field,
                "group": group.value,
                "documents": group.documents,
                "metric": name,
                "value": e.value,
                "low": e.low,
                "high": e.high,
                "null_low": e.null.low if e.null else float("nan"),
                "null_high": e.null.high if e.null else float("nan"),
                "p_holm": group.p_values[name],
            }


def _as_json(each: Subgroups) -> dict[str, Any]:
    over_all = each.multicalibration
    head = {
        "run": each.scope.run,
        "name": each.scope.name,
        "by": each.field,
        "documents": len(each.scope.predictions),
        "values_left_out": each.small,
        "documents_left_out": each.left_over,
    }
    if over_all is not None:
        head["multicalibration_error"] = {
            "value": over_all.value,
            "group": over_all.group,
            "null_low": over_all.null.low,
            "null_high": over_all.null.high,
        }
    same = ("run", "name", "by")
    rows = [{k: v for k, v in row.items() if k not in same} for row in _flat(each)]
    return {**head, "metrics": rows}
