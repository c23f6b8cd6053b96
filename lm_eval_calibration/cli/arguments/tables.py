"""The options of tables, each declared once, and how a command gets them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

PANEL = "Tables: one row a document"


def _column(help: str, *names: str, metavar: str = "COLUMN") -> Any:
    return typer.Option(
        *names, metavar=metavar, help=help, rich_help_panel=PANEL, show_default=False
    )


@dataclass(frozen=True)
class Table:
    """What the columns of tables are, as given; nothing, if runs are no tables."""

    confidence: Annotated[
        str | None,
        _column("RUN are .csv, .tsv, .jsonl or .parquet tables; here stand confidences in [0, 1]."),
    ] = None
    score: Annotated[
        str | None,
        _column("Instead: scores, higher for surer answers, that are no probabilities."),
    ] = None
    options: Annotated[
        str | None,
        _column(
            "Instead: a number for each option, in columns of their own ('logit_{A..D}', 'p_yes,p_no') or "
            "one column of dictionaries.",
            metavar="COLUMNS",
        ),
    ] = None
    scale: Annotated[
        str | None,
        _column(
            "What the options' numbers are: logits, log_probs or probs; else told from them, and said.",
            metavar="SCALE",
        ),
    ] = None
    gold: Annotated[
        str | None,
        _column(
            "The right option: its name, letter or number; =0 or =1 says which number is the first's.",
            metavar="COLUMN[=0|1]",
        ),
    ] = None
    correct: Annotated[
        str | None,
        _column(
            "Column of 0 and 1; or the column and the value that means right; or two columns, right "
            "where they are equal.",
            metavar="COLUMN[=VALUE|==COLUMN]",
        ),
    ] = None
    model: Annotated[
        str | None, _column("Column that names the model: one run each.", "--model")
    ] = None
    task: Annotated[str | None, _column("Column that names the task.", "--task")] = None
    model_from: Annotated[
        str | None,
        _column(
            "Or the end of each file's path does, e.g. '{model}/{task}_test.csv'.",
            metavar="PATTERN",
        ),
    ] = None
    task_from: Annotated[
        str | None, _column("Likewise, where the task alone is named.", metavar="PATTERN")
    ] = None
    document: Annotated[
        str | None, _column("Column that tells documents apart, by which runs are paired.")
    ] = None
    where: Annotated[
        list[str] | None,
        _column(
            "Keep only such rows; may be given several times, and several values of a column are "
            "alternatives.",
            metavar="COLUMN=VALUE",
        ),
    ] = None


NO_TABLE = Table()


def takes_tables(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., None]], Any]:
    """Give a command the options of tables, which it gets as its parameter `table`.

    Args:
        without: those whose names mean something else there.
    """
    hints = get_type_hints(Table, include_extras=True)
    names = [field.name for field in fields(Table) if field.name not in without]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_table(**given: Any) -> None:
            table = Table(**{name: given.pop(name) for name in names})
            command(**given, table=table)

        signature = inspect.signature(command, eval_str=True)
        kept = [p for name, p in signature.parameters.items() if name != "table"]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hints[name]
            )
            for name in names
        ]
        plain = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in kept]
        with_table.__dict__["__signature__"] = signature.replace(parameters=[*plain, *added])
        with_table.__annotations__ = {p.name: p.annotation for p in (*plain, *added)}
        return with_table

    return decorate
