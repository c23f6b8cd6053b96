"""What the commands read: runs that were logged, or tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import typer

from lm_eval_calibration.cli.arguments.tables import NO_TABLE, Table
from lm_eval_calibration.cli.progress import reading, unpacking
from lm_eval_calibration.clusters import AUTO, NONE
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs import Columns, Run, read_table
from lm_eval_calibration.logs.contract import AskedOfLogs, Left
from lm_eval_calibration.logs.fields import clustered
from lm_eval_calibration.logs.formats.tables.files import ENDINGS
from lm_eval_calibration.logs.nothing import NoLogsError
from lm_eval_calibration.logs.packed import as_given
from lm_eval_calibration.logs.run import AS_SCORES
from lm_eval_calibration.logs.runs import find_runs, read_found, size_of
from lm_eval_calibration.logs.workers import processes
from lm_eval_calibration.redact import redact
from lm_eval_calibration.texts import printable


def load(
    paths: Sequence[str],
    skip_bad: bool,
    table: Table | None = None,
    *,
    one_each: bool = False,
    filter_name: str | None = None,
    calibrator: str | None = None,
    allow_other: bool = False,
    cross_fit: str | None = None,
    cluster: str = NONE,
    by: str | None = None,
    to_fit: bool = False,
    crosswise: bool = False,
) -> list[Run]:
    """Read the runs that a command was given; what was left out is said on stderr.

    A command without options of a `table` reads logs only. With a `calibrator` their beliefs are mapped by it, with
    `allow_other` whatever it was fitted for, and documents that it was fitted on `crosswise` or not at all; with `cross_fit`, a method, by maps of their own other documents;
    neither then nor `to_fit` one is it said that scores are no probabilities. What `cluster` says of documents
    that belong together, see `logs.fields.clustered`; the column of a table that `by` names is kept.

    Raises:
        InvalidInputError: the options of a table do not go together, or as `read_runs`.
    """
    others = tuple(name for name in (cluster, by) if name not in (None, AUTO, NONE))
    columns = _columns(table or NO_TABLE, others)
    if columns is None:
        found = _found(paths, one_each, takes_tables=table is not None)
        with reading(size_of(found)) as progress:
            asked = AskedOfLogs(skip_bad, filter_name, progress=progress)
            runs, left_out = read_found(found, asked, processes=processes(), every=one_each)
    else:
        with unpacking(paths) as progress:
            runs, left_out = read_table(
                paths,
                columns,
                skip_bad=skip_bad,
                apart=one_each,
                by_file=not to_fit,
                step=progress,
            )
    if calibrator is not None and cross_fit is not None:
        raise invalid("--cross_fit", "without --calibrator", "both")
    runs = clustered(runs, cluster)
    mapped = calibrator is not None or cross_fit is not None or to_fit
    notes = [note for note in _notes(runs) if not (mapped and AS_SCORES in note)]
    say([f"not read: {reason}" for reason in left_out] + notes)
    if calibrator is not None or cross_fit is not None:
        from lm_eval_calibration.cli.recalibrate import cross_fitted, recalibrated

        as_read = runs
        if calibrator is not None:
            runs = recalibrated(runs, calibrator, allow_other, crosswise)
        elif cross_fit is not None:
            runs = cross_fitted(runs, cross_fit)
        say(_notes(runs, as_read))
    return runs


def _found(paths: Sequence[str], one_each: bool, takes_tables: bool) -> list[Left]:
    """The runs at some paths; of what may be a table, the error says which options read one."""
    try:
        with unpacking(paths) as progress:
            return find_runs(paths, one_each=one_each, progress=progress)
    except NoLogsError as error:
        if error.path.suffix.lower() not in ENDINGS:
            raise
        advice = (
            "If it is a table, name its columns: --confidence and --correct, or --options and --gold."
            if takes_tables
            else "Tables are read by `lm-calib score`, with --confidence and --correct."
        )
        raise InvalidInputError(f"{error} {advice}") from None


def _notes(runs: Sequence[Run], known: Sequence[Run] = ()) -> list[str]:
    """What is to be known of files, beyond what is known: each of it once, however many they are."""
    about: dict[str, dict[str, None]] = {}
    before = {(run.label, task): s.notes for run in known for task, s in run.samples.items()}
    for run in runs:
        for task, s in run.samples.items():
            for note in [n for n in s.notes if n not in before.get((run.label, task), ())]:
                about.setdefault(note, {})[redact(str(s.path), s.secrets)] = None
    return [
        f"{next(iter(paths))}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {note}."
        for note, paths in about.items()
    ]


def say(texts: Sequence[str]) -> None:
    """What a reader must know beside the figures, on stderr."""
    for text in texts:
        typer.echo(f"lm-calib: {printable(redact(as_given(text)))}", err=True)


def _columns(table: Table, others: tuple[str, ...]) -> Columns | None:
    """The columns that the options name; `None` if the runs are no tables."""
    if table == NO_TABLE:
        return None
    if (table.confidence, table.score, table.options) == (None, None, None):
        given = [f.name for f in fields(table) if getattr(table, f.name) not in (None, [])]
        raise InvalidInputError(
            f"`--{given[0].replace('_', '-')}` names a column of a table: give --confidence or --score with "
            "--correct, or --options with --gold, as well."
        )
    correct, value, equal_to = _verdict(table.correct)
    gold, first = _gold(table.gold)
    return Columns(
        confidence=table.confidence,
        correct=correct,
        correct_value=value,
        run=table.model,
        task=table.task,
        where=_kept(table.where or ()),
        equal_to=equal_to,
        score=table.score,
        options=table.options,
        gold=gold,
        first_gold=first,
        scale=table.scale,
        document=table.document,
        run_from=table.model_from,
        task_from=table.task_from,
        others=others,
    )


def _verdict(written: str | None) -> tuple[str | None, str | None, str | None]:
    """The column of verdicts, the value that means right, and the column that it must be equal to."""
    if written is None:
        return None, None, None
    column, equals, other = written.partition("==")
    if equals:
        return column, None, other
    column, equals, value = written.partition("=")
    return column, value if equals else None, None


def _gold(written: str | None) -> tuple[str | None, int | None]:
    """The answer key's column, and the number of the first option."""
    if written is None:
        return None, None
    column, equals, first = written.rpartition("=")
    if not equals:
        return written, None
    if first not in ("0", "1"):
        raise invalid("--gold", "COLUMN, COLUMN=0 or COLUMN=1", f"`{written}`")
    return column, int(first)


def _kept(conditions: Sequence[str]) -> dict[str, tuple[str, ...]]:
    kept: dict[str, tuple[str, ...]] = {}
    for condition in conditions:
        name, sign, wanted = condition.partition("=")
        if not sign:
            raise invalid("--where", "COLUMN=VALUE", f"`{condition}`")
        kept[name] = (*kept.get(name, ()), wanted)
    return kept
