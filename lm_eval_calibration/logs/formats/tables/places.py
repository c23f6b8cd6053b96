"""Which files a user's arguments mean as tables, and what their paths say of model and task."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables.columns import Columns
from lm_eval_calibration.logs.formats.tables.files import ENDINGS, is_table
from lm_eval_calibration.logs.packed import ARCHIVES, Step, as_given
from lm_eval_calibration.logs.sources import expanded, labelled


class TableFile(NamedTuple):
    """A file with rows.

    place: the number of the file, folder or archive that was meant, one of several where a pattern was given;
    name: of that; label: before it, or ""; model, task: as its path says, or "".
    """

    path: Path
    place: int
    name: str
    label: str
    model: str
    task: str


def files_of(paths: Sequence[str], columns: Columns, step: Step | None = None) -> list[TableFile]:
    """The tables of files, folders at any depth, patterns, archives and addresses, each file once.

    Raises:
        InvalidInputError: nothing is there, or a path that does not say what it should.
    """
    found: dict[tuple[str, str], TableFile] = {}
    number = 0
    for argument in paths:
        label, meant = labelled(argument)
        for place, inside in _tables(meant, step):
            number += 1
            for path in inside:
                file = TableFile(path, number, _name(place), label, *_said(path, columns))
                # (a pattern may name a file beside its compressed copy)
                found.setdefault((os.path.abspath(as_given(str(path))), label), file)
    return list(found.values())


def _tables(argument: str, step: Step | None) -> Iterator[tuple[Path, list[Path]]]:
    """Each place that an argument means, with the tables there."""
    places, pattern = expanded(argument, step)
    nothing = True
    for place in places:
        if place.is_dir():
            inside = [p for p in sorted(place.rglob("*")) if p.is_file() and is_table(p)]
        else:
            inside = [place] if is_table(place) or not pattern else []
        nothing = nothing and not inside
        yield place, inside
    if nothing:
        raise InvalidInputError(f"{argument} holds no {', '.join(ENDINGS)} file.")


def _name(place: Path) -> str:
    """A file's, a folder's or an archive's name without what says its kind."""
    name = place.resolve().name if place.is_dir() else place.stem
    ending = next((end for end in ARCHIVES if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]


def _said(path: Path, columns: Columns) -> tuple[str, str]:
    """What a path says of model and task."""
    found: dict[str, str] = {}
    for option, pattern in (("--model-from", columns.run_from), ("--task-from", columns.task_from)):
        if pattern is not None:
            found = _read(path, option, pattern) | found
    model = found.get("model", "") if columns.run is None else ""
    return model, found.get("task", "") if columns.task is None else ""


def _read(path: Path, option: str, pattern: str) -> dict[str, str]:
    """The places of a pattern in the end of a path.

    Raises:
        InvalidInputError: the path does not end so, or in two ways.
    """
    whole = as_given(str(path))
    whole = whole if "://" in whole else os.path.abspath(whole)
    whole = whole.replace(os.sep, "/")
    short, long = (re.search(_expression(pattern, lazy), whole) for lazy in (True, False))
    if short is None or long is None:
        raise InvalidInputError(
            f"{option} '{pattern}': {path} does not end so. {{model}}, {{task}} and * stand for a part of a "
            "name; folders are divided by /."
        )
    if short.groupdict() != long.groupdict():
        ways = " or ".join(
            ", ".join(f"{name} {text!r}" for name, text in match.groupdict().items())
            for match in (short, long)
        )
        raise InvalidInputError(
            f"{option} '{pattern}': {path} can be read in two ways, {ways}. Write more of the name into the "
            "pattern."
        )
    return short.groupdict()


def _expression(pattern: str, lazy: bool) -> str:
    part = "[^/]+?" if lazy else "[^/]+"
    meant = {"{model}": f"(?P<model>{part})", "{task}": f"(?P<task>{part})", "*": "[^/]*"}
    pieces = re.split(r"(\{model\}|\{task\}|\*)", pattern.replace(os.sep, "/").removeprefix("./"))
    seen: set[str] = set()
    written = ""
    for piece in pieces:
        again = piece in seen and piece.startswith("{")
        written += f"(?P={piece[1:-1]})" if again else meant.get(piece, re.escape(piece))
        seen.add(piece)
    return rf"(?:^|/){written}\Z"
