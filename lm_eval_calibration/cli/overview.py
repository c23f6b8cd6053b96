"""Many figures at a glance: a table for each run with a row a task, where a table a task would be hundreds of lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from lm_eval_calibration.cli.formats import (
    OutputFormat,
    for_readers,
    markdown,
    markdown_table,
    terminal_table,
)
from lm_eval_calibration.logs import Scope

MANY = 12
"""Tasks and groups, over all runs, of which each has a table of its own."""
LEADERBOARD = "`lm-calib leaderboard` has a row a model: means over the tasks, ranks and places."


class Part(NamedTuple):
    """One table: its title, and a row for each group and task."""

    title: str
    rows: list[list[str]]


def is_wanted(count: int, how: OutputFormat, columns: int, most: int) -> bool:
    """Whether an overview is what is printed.

    Args:
        count: of groups and tasks.
        how: formats for programs always hold everything.
        columns: that the overview would have.
        most: for which there is room.
    """
    return count > MANY and how in (OutputFormat.TABLE, OutputFormat.MARKDOWN) and columns <= most


def render(
    parts: Sequence[Part], header: Sequence[str], legend: Sequence[str], how: OutputFormat
) -> str | None:
    """The parts in Markdown; `None` for the terminal, where they are printed."""
    return for_readers(
        how,
        markdown=lambda: _markdown(parts, header, legend),
        items=lambda: _items(parts, header, legend),
    )


def _markdown(parts: Sequence[Part], header: Sequence[str], legend: Sequence[str]) -> str:
    tables = [
        f"**{markdown(part.title)}**\n\n{markdown_table(header, part.rows, texts=1)}"
        for part in parts
    ]
    return "\n\n".join([*tables, *map(markdown, legend)])


def _items(
    parts: Sequence[Part], header: Sequence[str], legend: Sequence[str]
) -> list[Table | str]:
    items: list[Table | str] = []
    for part in parts:
        items += [part.title, terminal_table(header, part.rows, texts=(0,)), ""]
    return [*items, *legend]


def named(scope: Scope) -> str:
    """A row's name."""
    pooled = f" ({len(scope.samples)} tasks pooled)" if scope.pooled else ""
    return f"{scope.name or 'all documents'}{pooled}"
