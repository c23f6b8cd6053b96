"""`lm-calib size`: how many documents a comparison needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from lm_eval_calibration.analysis.document_pairing import match
from lm_eval_calibration.analysis.size import MOST_TOLD, Needed, Power, documents_needed
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    markdown,
    markdown_table,
    number,
    terminal_table,
)
from lm_eval_calibration.cli.score import title
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import Run, Scope, scopes

HEADER = ("documents", "95 % interval of one model", "difference seen")


def find(
    runs: Sequence[Run],
    metric: str,
    effect: float,
    power: float,
    correlation: float,
    replicates: int,
) -> list[tuple[Scope, Needed]]:
    """What each task, and group of tasks, of one run or of two on the same documents needs.

    Raises:
        InvalidInputError: more than two runs, or as `documents_needed`.
    """
    if len(runs) > 2:
        raise InvalidInputError(
            f"`--like` must be one run, or two to be compared, got {len(runs)}."
        )
    paired = match(runs).runs if len(runs) > 1 else list(runs)
    each = zip(*(list(scopes(run)) for run in paired), strict=True)
    return [
        (
            like[0],
            documents_needed(
                like, metric, effect, power=power, correlation=correlation, replicates=replicates
            ),
        )
        for like in each
    ]


def render(found: Sequence[tuple[Scope, Needed]], measured: bool, how: OutputFormat) -> str | None:
    """What was found in `how`, as text; `None` for the terminal, where it is printed."""
    return in_format(
        how,
        told=lambda: {"sizes": [_told(*each) for each in found]},
        rows=lambda: [_flat(*each) for each in found],
        markdown=lambda: _markdown(found, measured),
        items=lambda: _items(found, measured),
    )


def _markdown(found: Sequence[tuple[Scope, Needed]], measured: bool) -> str:
    parts = []
    for scope, needed in found:
        parts += [f"**{markdown(title(scope, False))}**", markdown(in_words(needed, measured))]
        parts.append(markdown_table(HEADER, _rows(needed), texts=0))
    return "\n\n".join(parts)


def _items(found: Sequence[tuple[Scope, Needed]], measured: bool) -> list[Table | str]:
    items: list[Table | str] = []
    for scope, needed in found:
        table = terminal_table(HEADER, _rows(needed), texts=())
        items += [title(scope, False), in_words(needed, measured), table, ""]
    return items


def in_words(needed: Needed, measured: bool) -> str:
    """The answer."""
    how = "as measured on these two" if measured else "assumed: --correlation, or name a second run"
    documents = f"more than {MOST_TOLD:,}"
    if math.isfinite(needed.documents):
        documents = f"about {_rounded(needed.documents):,}"
    return (
        f"A difference of {needed.effect:g} in {needed.metric} is seen {needed.power:.0%} of the time on {documents} "
        f"documents (paired test at 0.05; correlation of the two models' values {needed.correlation:.2f}, {how})."
    )


def _rounded(documents: float) -> int:
    """To two digits: so far the draws tell it."""
    return int(float(f"{documents:.1e}"))


def _rows(needed: Needed) -> list[list[str]]:
    return [_cells(power) for power in needed.table]


def _cells(power: Power) -> list[str]:
    return [f"{power.documents:,}", f"± {number(power.interval)}", number(power.detectable)]


def _told(scope: Scope, needed: Needed) -> dict[str, Any]:
    table = [power._asdict() for power in needed.table]
    return {"run": scope.run, "name": scope.name, **asdict(needed), "table": table}


def _flat(scope: Scope, needed: Needed) -> dict[str, Any]:
    told = _told(scope, needed)
    del told["table"]
    return told
