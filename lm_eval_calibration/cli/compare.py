"""`lm-calib compare`: is one run better than another, or is it noise?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from lm_eval_calibration.analysis.comparison import COMPARED_METRICS, Comparison, compare_runs
from lm_eval_calibration.cli import compare_overview
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    interval,
    markdown,
    markdown_table,
    number,
    terminal_table,
)
from lm_eval_calibration.cli.progress import working
from lm_eval_calibration.cli.score import SLOW_DOCUMENTS, score_runs
from lm_eval_calibration.logs import Run, scopes
from lm_eval_calibration.metrics.catalogue import ARROWS
from lm_eval_calibration.metrics.paired import ALPHA, Difference
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.report.wording import p_value

SLOW_COMPARISON = SLOW_DOCUMENTS // 20
"""Comparing so many documents takes more than a few seconds."""

LABEL_WIDTH = 14
"""Longer labels of runs would make a table too wide for a terminal."""

LEGEND = (
    "X against Y: X is the second, Y the first. difference: second less first, with the 95 % interval of the paired bootstrap over documents. "
    "p: paired bootstrap; for acc McNemar's exact test, unless documents are drawn together. p (Holm): adjusted over the metrics of the "
    "table."
)


def compare_all(
    runs: Sequence[Run], metrics: Sequence[str] | None, replicates: int
) -> list[Comparison]:
    """Compare matched runs with the first, with a progress bar if there are many documents."""
    names = metrics or COMPARED_METRICS
    wanted = list(scopes(runs[0]))
    documents = sum(len(s) for scope in wanted for s in scope.samples) * (len(runs) - 1)
    steps = len(wanted) * len(names) * (len(runs) - 1)
    with working("comparing", steps, documents > SLOW_COMPARISON) as progress:
        return compare_runs(runs, names, replicates=replicates, progress=progress)


def render(
    compared: Sequence[Comparison],
    left_out: Sequence[str],
    how: OutputFormat,
    columns: Sequence[str] | None = None,
) -> str | None:
    """The differences in `how`, as text; `None` for the terminal, where they are printed.

    With `columns` a task is a row of these metrics, in a terminal and in Markdown.
    """
    if columns is not None:
        return compare_overview.render(compared, columns, how)
    return in_format(
        how,
        told=lambda: {"left_out": list(left_out), "comparisons": [_as_json(c) for c in compared]},
        rows=lambda: [row for c in compared for row in _flat(c)],
        markdown=lambda: "\n\n".join([*map(_markdown, compared), LEGEND]),
        items=lambda: _items(compared),
    )


def _items(compared: Sequence[Comparison]) -> list[Table | str]:
    items: list[Table | str] = []
    for c in compared:
        items += [_title(c), _table(c), *_discordant(c), *_detectable(c), ""]
    return [*items, LEGEND]


def draw_trend(
    runs: Sequence[Run], metrics: Sequence[str] | None, path: Path, overwrite: bool
) -> None:
    """Draw each metric over the runs, in their order, into one image file."""
    from lm_eval_calibration.report.trend import save_trend

    names = metrics or COMPARED_METRICS
    scored = score_runs(runs, names, replicates=1000)
    series: dict[str, list[Any]] = {}
    for s in scored:
        series.setdefault(s.scope.name, []).append(s.estimates)
    save_trend(series, [run.label for run in runs], path, overwrite=overwrite)


def _title(c: Comparison) -> str:
    pooled = f" ({len(c.first.samples)} tasks pooled)" if c.first.pooled else ""
    documents = len(c.first.predictions)
    name = c.first.name or "all documents"
    return f"{c.second.run} against {c.first.run} · {name}{pooled}, {documents:,} documents"


def _header(c: Comparison) -> tuple[str, ...]:
    """Column names: the runs' labels where they are short."""
    labels = (c.first.run, c.second.run)
    if max(map(len, labels)) > LABEL_WIDTH:
        labels = ("first", "second")
    return ("metric", "", *labels, "difference", "95 % interval", "p", "p (Holm)")


def _cells(c: Comparison, d: Difference) -> tuple[str, ...]:
    adjusted = c.adjusted[d.name]
    mark = " *" if adjusted < ALPHA else "  "
    return (
        d.name,
        ARROWS[bind(d.name).higher_is_better],
        number(d.a),
        number(d.b),
        f"{'+' if d.difference > 0 else ''}{number(d.difference)}",
        interval(d.low, d.high),
        p_value(d.p_value),
        p_value(adjusted) + mark,
    )


def _table(c: Comparison) -> Table:
    return terminal_table(_header(c), (_cells(c, d) for d in c.differences.values()), texts=(0, 1))


def _discordant(c: Comparison) -> list[str]:
    return [
        f"{name}: {m.only_a:,} documents only {c.first.run} has right, {m.only_b:,} only "
        f"{c.second.run}."
        for name, m in c.discordant.items()
    ]


def _detectable(c: Comparison) -> list[str]:
    """What could have been seen."""
    each = [
        f"{d.name} {number(d.detectable, 3)}" for d in c.differences.values() if d.detectable > 0
    ]
    if not each:
        return []
    return [f"Smallest difference that so many documents show 8 times in 10: {', '.join(each)}."]


def _markdown(c: Comparison) -> str:
    rows = [_cells(c, d) for d in c.differences.values()]
    parts = (
        f"**{markdown(_title(c))}**",
        markdown_table(_header(c), rows, texts=2),
        markdown(" ".join([*_discordant(c), *_detectable(c)])),
    )
    return "\n\n".join(parts)


def _flat(c: Comparison) -> Iterator[dict[str, Any]]:
    for d in c.differences.values():
        yield {
            "first": c.first.run,
            "second": c.second.run,
            "name": c.first.name,
            "documents": len(c.first.predictions),
            **_figures(c, d),
        }


def _figures(c: Comparison, d: Difference) -> dict[str, Any]:
    discordant = c.discordant.get(d.name)
    return {
        "metric": d.name,
        "first_value": d.a,
        "second_value": d.b,
        "difference": d.difference,
        "low": d.low,
        "high": d.high,
        "p_value": d.p_value,
        "p_holm": c.adjusted[d.name],
        "detectable": d.detectable,
        "only_first_right": discordant.only_a if discordant else None,
        "only_second_right": discordant.only_b if discordant else None,
    }


def _as_json(c: Comparison) -> dict[str, Any]:
    return {
        "first": c.first.run,
        "second": c.second.run,
        "name": c.first.name,
        "pooled": [s.task for s in c.first.samples] if c.first.pooled else None,
        "documents": len(c.first.predictions),
        "metrics": [_figures(c, d) for d in c.differences.values()],
    }
