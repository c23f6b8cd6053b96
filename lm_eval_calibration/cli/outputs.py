"""Where commands write: looked at before any work, and said when it is done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.files import (
    JSON_LINES,
    PAGE,
    check_file,
    is_stream,
    stamped,
    write_text,
)
from lm_eval_calibration.texts import printable

Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace what stands there even if another program wrote it."),
]
OverwriteArtifact = Annotated[
    bool, typer.Option("--overwrite", help="Replace what was fitted there by another method.")
]


def say_where(path: Path, err: bool = False) -> None:
    """Print where something was written, unless it went to whoever reads standard output."""
    if not is_stream(path):
        typer.echo(printable(str(path.resolve())), err=err)


def write_lines(path: Path, lines: Iterable[dict[str, Any]], overwrite: bool) -> None:
    """Write a file of JSON lines.

    Raises:
        OutputError: something else stands there, or the place cannot be written to.
    """
    texts = (json.dumps(stamped(line), ensure_ascii=False) for line in lines)
    write_text(path, "".join(f"{text}\n" for text in texts), JSON_LINES, overwrite=overwrite)


def check_page(path: Path, *, overwrite: bool = False) -> None:
    """Make sure that a page can be written.

    Raises:
        InvalidInputError: the path's ending is that of something else.
        OutputError: something else stands there, or the place cannot be written to.
    """
    if path.suffix.lower() not in ("", ".html", ".htm"):
        raise invalid("--output", "a file that ends in .html: it is a page", f"`{path}`")
    check_file(path, PAGE, overwrite=overwrite)
