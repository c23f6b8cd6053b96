"""What the commands read: runs of the harness, or tables of confidences."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from lm_eval_calibration.cli.arguments.runs import Table
from lm_eval_calibration.cli.progress import reading, unpacking
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs import Run
from lm_eval_calibration.logs.contract import Asked, Left
from lm_eval_calibration.logs.formats.confidence_table import TABLES, Columns, read_table
from lm_eval_calibration.logs.nothing import NoLogsError
from lm_eval_calibration.logs.packed import as_given
from lm_eval_calibration.logs.runs import find_runs, read_found, size_of
from lm_eval_calibration.logs.workers import processes
from lm_eval_calibration.redact import redact
from lm_eval_calibration.texts import printable

NO_TABLE = Table()


def load(
    paths: Sequence[str],
    skip_bad: bool,
    table: Table | None = None,
    *,
    one_each: bool = False,
    filter_name: str | None = None,
    calibrator: str | None = None,
    allow_other: bool = False,
) -> list[Run]:
    """Read the runs that a command was given; what was left out is said on stderr.

    A command without options of a `table` reads logs only. With a `calibrator` their beliefs are mapped by it, with `allow_other` whatever it was fitted for.

    Raises:
        InvalidInputError: the options of a table do not go together, or as `read_runs`.
    """
    columns = _columns(table or NO_TABLE)
    if columns is None:
        found = _found(paths, one_each, takes_tables=table is not None)
        with reading(size_of(found)) as progress:
            asked = Asked(skip_bad, filter_name, progress=progress)
            runs, left_out = read_found(found, asked, processes=processes(), every=one_each)
    else:
        runs, left_out = read_table([Path(p) for p in paths], columns, skip_bad=skip_bad)
    say([f"not read: {reason}" for reason in left_out] + _notes(runs))
    if calibrator is not None:
        from lm_eval_calibration.cli.recalibrate import recalibrated

        as_read = runs
        runs = recalibrated(runs, calibrator, allow_other)
        say(_notes(runs, as_read))
    return runs


def _found(paths: Sequence[str], one_each: bool, takes_tables: bool) -> list[Left]:
    """The runs at some paths; of what may be a table, the error says which options read one."""
    try:
        with unpacking(paths) as progress:
            return find_runs(paths, one_each=one_each, progress=progress)
    except NoLogsError as error:
        if error.path.suffix.lower() not in TABLES:
            raise
        advice = (
            "If it is a table of confidences, name its columns with --confidence and --correct."
            if takes_tables
            else "Tables of confidences are read by `lm-calib score`, with --confidence and --correct."
        )
        raise InvalidInputError(f"{error} {advice}") from None


def _notes(runs: Sequence[Run], known: Sequence[Run] = ()) -> list[str]:
    """What is to be known of files, beyond what is known: each of it once, however many they are."""
    about: dict[str, list[str]] = {}
    before = {(run.label, task): s.notes for run in known for task, s in run.samples.items()}
    for run in runs:
        for task, s in run.samples.items():
            for note in s.notes[len(before.get((run.label, task), ())) :]:
                about.setdefault(note, []).append(redact(str(s.path), s.secrets))
    return [
        f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {note}."
        for note, paths in about.items()
    ]


def say(texts: Sequence[str]) -> None:
    """What a reader must know beside the figures, on stderr."""
    for text in texts:
        typer.echo(f"lm-calib: {printable(redact(as_given(text)))}", err=True)


def _columns(table: Table) -> Columns | None:
    """The columns that the options name; `None` if the runs are the harness's."""
    if table.confidence is None and table.correct is None:
        if table != NO_TABLE:
            raise InvalidInputError(
                "`--model`, `--task` and `--where` name columns of a table: give --confidence and "
                "--correct as well."
            )
        return None
    if table.confidence is None or table.correct is None:
        raise InvalidInputError("A table of confidences needs both --confidence and --correct.")
    column, equals, value = table.correct.partition("=")
    kept: dict[str, tuple[str, ...]] = {}
    for condition in table.where:
        name, sign, wanted = condition.partition("=")
        if not sign:
            raise invalid("--where", "COLUMN=VALUE", f"`{condition}`")
        kept[name] = (*kept.get(name, ()), wanted)
    return Columns(
        table.confidence, column, value if equals else None, table.model, table.task, kept
    )
