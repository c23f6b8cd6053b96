"""`lm-calib pools`: what the candidates of a generation run scored, and whether picking paid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from lm_eval_calibration.analysis.pools import PoolFigures, figures, read_pools
from lm_eval_calibration.cli.formats import (
    OutputFormat,
    in_format,
    markdown,
    markdown_table,
)
from lm_eval_calibration.cli.outputs import say_where, write_lines
from lm_eval_calibration.cli.source import say
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.pool_summary import PoolSummary
from lm_eval_calibration.report.pools import in_words, rows, tests

HEADER = ("", "value", "95 % interval", "meaning")


def find(
    paths: Sequence[str], filter_name: str | None, replicates: int, skip_bad: bool = False
) -> list[PoolFigures]:
    """The figures of every group and task that logged pools; what was left out goes to stderr.

    Raises:
        InvalidInputError: as `read_pools`.
    """
    read, without = read_pools(paths, filter_name, skip_bad=skip_bad)
    notes = [f"{pools.name}: {note}." for pools in read for note in pools.notes]
    say([f"left out: {text}." for text in without] + notes)
    return [figures(pools, replicates) for pools in read]


def render(found: Sequence[PoolFigures], how: OutputFormat) -> str | None:
    """The figures in `how`, as text; `None` for the terminal, where they are printed."""
    several = len({pools.run for pools in found}) > 1
    return in_format(
        how,
        told=lambda: {"pools": [_as_json(pools) for pools in found]},
        rows=lambda: [row for pools in found for row in _flat(pools)],
        markdown=lambda: "\n\n".join(_markdown(pools, several) for pools in found),
        items=lambda: _items(found, several),
    )


def _items(found: Sequence[PoolFigures], several: bool) -> list[Table | str]:
    items: list[Table | str] = []
    for pools in found:
        items += [_title(pools, several), _table(pools), *tests(pools.summary), ""]
    return items[:-1]


def export_choices(
    paths: Sequence[str], output: Path, filter_name: str | None, skip_bad: bool, overwrite: bool
) -> None:
    """Write what a discriminator learns from.

    Raises:
        InvalidInputError: no pool has right and wrong candidates.
    """
    from lm_eval_calibration.exports.training_sets import choices  # (which need torch)
    from lm_eval_calibration.fitting.responses import JUDGED, of_samples

    read = of_samples(paths, JUDGED, "sentences", filter_name, skip_bad=skip_bad)
    lines = list(choices(read.responses))
    if not lines:
        raise InvalidInputError("`--export`: no pool has right and wrong candidates.")
    write_lines(output, lines, overwrite)
    say_where(output)


def _title(pools: PoolFigures, several: bool) -> str:
    name = pools.name if pools.filter_name == "none" else f"{pools.name} ({pools.filter_name})"
    name = f"{pools.run} · {name}" if several else name
    return f"{name}: {in_words(pools.summary)}"


def _table(pools: PoolFigures) -> Table:
    table = Table(box=None, header_style="bold")
    for name in HEADER:
        table.add_column(name, justify="left" if name in ("", "meaning") else "right", no_wrap=True)
    for row in rows(pools.summary):
        table.add_row(row.name, row.value, row.interval, row.meaning)
    return table


def _markdown(pools: PoolFigures, several: bool) -> str:
    table = markdown_table(["", "meaning", "value", "95 % interval"], rows(pools.summary), texts=2)
    return "\n\n".join([f"**{markdown(_title(pools, several))}**", table, *tests(pools.summary)])


def _figures(s: PoolSummary) -> dict[str, dict[str, float]]:
    return {name: {"value": v, **s.spreads[name]._asdict()} for name, v in s.values.items()}


def _as_json(pools: PoolFigures) -> dict[str, Any]:
    s, m = pools.summary, pools.summary.mcnemar
    return {
        "run": pools.run,
        "name": pools.name,
        "filter": pools.filter_name,
        "documents": s.documents,
        "mixed": s.mixed,
        "candidates": list(s.sizes),
        "figures": _figures(s),
        "dg_diff_p_value": s.dg_diff_p,
        "best_of_n_p_values": dict(s.best_p),
        "places": list(s.places),
        "mcnemar": None
        if m is None
        else {"gained": m.gained, "lost": m.lost, "z": m.z, "p_value": m.p_value},
    }


def _flat(pools: PoolFigures) -> Iterator[dict[str, Any]]:
    s, m = pools.summary, pools.summary.mcnemar
    for name, each in _figures(s).items():
        yield {
            "run": pools.run,
            "name": pools.name,
            "filter": pools.filter_name,
            "documents": s.documents,
            "mixed": s.mixed,
            "figure": name,
            **each,
            "dg_diff_p_value": s.dg_diff_p if name == "dg_diff" else float("nan"),
            "mcnemar_p_value": m.p_value if m and name == "dg_diff" else float("nan"),
        }
