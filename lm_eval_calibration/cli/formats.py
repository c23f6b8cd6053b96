"""One set of figures as a terminal table, JSON, CSV or Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_calibration._version import __version__
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.catalogue import ARROWS
from lm_eval_calibration.metrics.table import bind
from lm_eval_calibration.texts import printable

"""A metric's direction: which way is better."""
NARROWEST = 12
"""Names go on in the next line before they are narrower than this."""
NAMES_LISTED = 5
"""Names that are listed before the rest is counted."""
_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that a spreadsheet would compute."""
_MARKUP = re.compile(r"[\\`*<>|&~]|\](?=[(\[:])")
"""What Markdown would not show as it is: code, emphasis, tags, cells, and the ends of links."""


class OutputFormat(Enum):
    """How figures are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    MARKDOWN = "markdown"


def choose(as_json: bool, as_csv: bool, as_markdown: bool) -> OutputFormat:
    """The format that the flags ask for.

    Raises:
        InvalidInputError: more than one of them.
    """
    wanted = {
        OutputFormat.JSON: as_json,
        OutputFormat.CSV: as_csv,
        OutputFormat.MARKDOWN: as_markdown,
    }
    given = [f for f, is_wanted in wanted.items() if is_wanted]
    if len(given) > 1:
        raise InvalidInputError(f"Give one of {', '.join(f'--{f.value}' for f in given)}.")
    return given[0] if given else OutputFormat.TABLE


def in_format(
    how: OutputFormat,
    *,
    told: Callable[[], Mapping[str, Any]],
    rows: Callable[[], Sequence[Mapping[str, Any]]],
    markdown: Callable[[], str],
    items: Callable[[], Sequence[Table | str]],
) -> str | None:
    """One set of figures in `how`, as text; `None` for the terminal, where they are printed.

    Only what is wanted is made.

    Args:
        how: the figures are printed.
        told: what JSON holds after our version.
        rows: of CSV.
        markdown: the text.
        items: tables and lines for the terminal.
    """
    if how is OutputFormat.JSON:
        return dump({"lm_eval_calibration": __version__, **told()})
    if how is OutputFormat.CSV:
        return csv_table(rows())
    return for_readers(how, markdown=markdown, items=items)


def for_readers(
    how: OutputFormat,
    *,
    markdown: Callable[[], str],
    items: Callable[[], Sequence[Table | str]],
) -> str | None:
    """Figures that only people read: Markdown, or `None` for the terminal, where they are printed."""
    if how is OutputFormat.MARKDOWN:
        return markdown()
    print_tables(items())
    return None


def print_text(text: str | None) -> None:
    """Print figures as they are, without colours or wrapping."""
    if text is not None:
        typer.echo(printable(text, lines=True))


def number(value: float, digits: int = 4) -> str:
    """A figure for readers: fixed digits, the sign of infinity, or a dash if undefined."""
    if math.isnan(value):
        return "-"
    return f"{value:.{digits}f}" if math.isfinite(value) else "∞" if value > 0 else "-∞"


def interval(low: float, high: float) -> str:
    """An interval for readers."""
    return "-" if math.isnan(low) else f"{number(low)} to {number(high)}"


def titled(metric: str) -> str:
    """A column's name: the metric and which way is better.

    >>> titled("ece")
    'ece ↓'
    """
    return f"{metric} {ARROWS[bind(metric).higher_is_better]}".strip()


def dump(value: Any) -> str:
    """Strict JSON: null for what is undefined, "Infinity" for an infinite figure.

    It is ASCII, so that every name is in it whole, in any encoding, and none is obeyed.
    """
    return json.dumps(_strict(value), indent=2, allow_nan=False)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def csv_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Comma-separated rows with a header; empty where a figure is undefined.

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        undefined = [k for k, v in row.items() if isinstance(v, float) and math.isnan(v)]
        texts = {k: _literal(v) for k, v in row.items() if isinstance(v, str)}
        writer.writerow({**row, **texts, **dict.fromkeys(undefined, "")})
    return text.getvalue().rstrip("\n")


def _literal(text: str) -> str:
    shown = printable(text)
    return f"'{shown}" if _FORMULA.match(shown) else shown


class _Plain(Console):
    """A terminal that is shown texts, and obeys none of them."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def print_tables(items: Sequence[Table | str]) -> None:
    """Print tables and lines to the terminal, never cut off: a narrow one wraps them instead.

    A line before a table is its title.
    """
    console = _Plain(highlight=False, markup=False, emoji=False)
    tables = [item for item in items if isinstance(item, Table)]
    if console.is_terminal:
        for table in tables:
            _fold_names(table, _natural(table, console) - console.width)
    console.width = max([console.width, *(_natural(table, console) for table in tables)])
    for item, following in zip(items, [*items[1:], ""], strict=True):
        style = "bold" if isinstance(following, Table) else ""
        console.print(item, style=style if isinstance(item, str) else None)


def _natural(table: Table, console: Console) -> int:
    """How wide a table is where there is room for it."""
    return table.__rich_measure__(console, console.options.update(max_width=10_000)).maximum


def _fold_names(table: Table, excess: int) -> None:
    """Have a table that is too wide by `excess` go on with long names on further lines, where it may."""
    folding = [column for column in table.columns if column.overflow == "fold"]
    if excess <= 0 or not folding:
        return
    longest = [max(map(cell_len, map(str, (c.header, *c.cells)))) for c in folding]
    widest = longest.index(max(longest))
    folding[widest].width = max(NARROWEST, longest[widest] - excess)


def terminal_table(
    header: Sequence[str], rows: Iterable[Sequence[str]], texts: Container[int]
) -> Table:
    """A table for the terminal, in which the columns at the places `texts` are texts and all others figures.

    Texts are aligned left and go on in the next line where the terminal is narrow; figures never do.
    """
    table = Table(box=None, header_style="bold")
    for place, name in enumerate(header):
        if place in texts:
            table.add_column(name, overflow="fold")
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """A Markdown table; the first `texts` columns are aligned left, figures right."""
    rule = ["---"] * texts + ["---:"] * (len(header) - texts)
    head, *body = ([markdown(cell.strip()) for cell in row] for row in [header, *rows])
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *body])


def of_tasks(names: Iterable[str]) -> str:
    """Whose documents these are, in words; nothing where tasks have no name.

    >>> of_tasks(["a", "b"]), of_tasks([""]), of_tasks("abcdefgh")
    (' of a, b', '', ' of a, b, c, d, e and 3 more')
    """
    named = [name for name in names if name]
    more = f" and {len(named) - NAMES_LISTED} more" if len(named) > NAMES_LISTED + 1 else ""
    shown = named[:NAMES_LISTED] if more else named
    return f" of {', '.join(shown)}{more}" if shown else ""


def markdown(text: str) -> str:
    r"""A text in one line of Markdown, of which nothing is markup.

    >>> print(markdown("a|b `c` <d>"))
    a\|b \`c\` \<d\>
    """
    return _MARKUP.sub(r"\\\g<0>", printable(text))
