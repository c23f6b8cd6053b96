"""Find and read whole runs: every task of every folder that was named, of whatever format."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs.contract import AskedOfLogs, Left, LogFormat, Progress
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats import FORMATS
from lm_eval_calibration.logs.nothing import check_whole, no_logs, nothing_in
from lm_eval_calibration.logs.packed import as_given
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.logs.secret_places import RESULTS
from lm_eval_calibration.logs.sources import expanded, labelled
from lm_eval_calibration.logs.workers import LARGE_BYTES, workers
from lm_eval_calibration.members import BrokenMemberError
from lm_eval_calibration.messages import logger
from lm_eval_calibration.names import short_model_name
from lm_eval_calibration.redact import redact, secrets_in

log = logger(__name__)


def read_runs(
    paths: Sequence[str | Path],
    *,
    one_each: bool = False,
    skip_bad: bool = False,
    filter_name: str | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> tuple[list[Run], list[str]]:
    """Read runs: one for each folder with logs of one format, or as many as the format tells apart.

    Args:
        paths: files of logs, folders searched at any depth, glob patterns; archives and compressed
            files; addresses (`hf://datasets/...`, `https://...`). `label=path` names a run, or picks
            the one of that label or model where the path holds several; otherwise it is called by its
            model, or by its folder.
        one_each: every path is one run, as when runs are compared, and may not hold several.
        skip_bad: leave out lines that cannot be read; `Samples.notes` counts them.
        filter_name: of tasks with several filters, whose lines are read; the first one's by default.
        processes: worker processes, if there is much to read.
        progress: called with the number of bytes read since the last call.

    Returns:
        The runs in the order named; and why files, such as those of generation tasks, were left
        out of a folder in which others could be read.

    Raises:
        InvalidInputError: a path that holds no logs, a line that cannot be read (unless
            `skip_bad`), a run without multiple-choice documents, or a filter that no file has.
    """
    found = find_runs(paths, one_each=one_each)
    asked = AskedOfLogs(skip_bad, filter_name, progress=progress)
    return read_found(found, asked, processes=processes, every=one_each)


def read_found(
    found: Sequence[Left],
    asked: AskedOfLogs,
    *,
    formats: Sequence[LogFormat] | None = None,
    processes: int = 1,
    every: bool = False,
) -> tuple[list[Run], list[str]]:
    """Read runs that were found; see `read_runs`. With `every` one that holds nothing to read is an error."""
    by_name = {each.name: each for each in formats or FORMATS.usable()}
    runs: list[Run] = []
    left_out: list[str] = []
    with workers(processes, size_of(found) > LARGE_BYTES) as submit:
        # All are begun before the first is finished, so that small ones are parallel too.
        asked = replace(asked, submit=submit)
        begun = [by_name[left.format].begin(left, asked) for left in found]
        _check_filter(asked.filter_name, {name for each in begun for name in each.filters})
        for each in begun:
            read = each.finish()
            runs += read.runs
            left_out += read.left_out
            if every and not read.runs:
                raise nothing_in(read.left_out)
    if not runs and left_out:
        raise nothing_in(left_out)
    return runs, left_out


def _check_filter(wanted: str | None, found: set[str]) -> None:
    if wanted is None or wanted in found:
        return
    named = sorted(found - {str(None)})
    if not named:
        raise invalid("--filter", "left out", wanted, "The files name no filter.")
    listed = ", ".join(f"`{name}`" for name in named)
    raise invalid("--filter", f"a filter that the files name ({listed})", f"`{wanted}`")


def size_of(found: Iterable[Left]) -> int:
    """Bytes of the files that will be read."""
    return sum(file.path.stat().st_size for left in found for file in left.files.values())


def read_documents(samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
    """The documents of some rows of `samples`, with their texts, from where they were read.

    Raises:
        InvalidInputError: the samples come from no logs with texts, hold no options, or the file
            is gone.
    """
    if samples.format not in FORMATS:
        raise InvalidInputError(f"{samples.path} holds no texts of documents.")
    return FORMATS[samples.format].documents(samples, rows)


def find_runs(
    paths: Sequence[str | Path],
    *,
    one_each: bool = False,
    formats: Sequence[LogFormat] | None = None,
    progress: Progress | None = None,
) -> list[Left]:
    """What each run left, with a label that no other run has; secrets are told by none.

    Args:
        paths: as for `read_runs`.
        one_each: likewise.
        formats: those looked for; all by default.
        progress: called with the number of bytes unpacked or copied since the last call.
    """
    known = list(formats or FORMATS.usable())
    by_name = {each.name: each for each in known}
    there = list(_found(paths, one_each, known, progress))
    for left in there:
        for file in left.files.values():
            check_whole(file.path)
    found = [_safe(by_name[left.format].about(left)) for left in there]
    labels = _told_apart([left.label for left in found], [left.folder for left in found])
    return [replace(left, label=label) for left, label in zip(found, labels, strict=True)]


def _safe(left: Left) -> Left:
    """Without its secrets, but for the list of them; called by its model if by nothing else."""
    secrets = secrets_in(*left.results, place=RESULTS)
    last = short_model_name(left.model or left.folder.resolve().name)
    model = last.encode("utf-8", "replace").decode()  # (what no output can hold)
    return replace(
        left,
        label=redact(left.label or model, secrets),
        results=tuple(redact(each, secrets, RESULTS) for each in left.results),
        secrets=secrets,
    )


def _found(
    paths: Sequence[str | Path],
    one_each: bool,
    formats: Sequence[LogFormat],
    progress: Progress | None,
) -> Iterator[Left]:
    """What lies under the paths: what is one run is so, however many paths named it."""
    apart: list[Left] = []
    together: list[Left] = []
    for argument in map(str, paths):
        label, path = labelled(argument)
        found = _merged(_at(path, formats, progress))
        if not label and not one_each:
            together += found
            continue
        apart += [replace(left, label=label or left.label) for left in _one(argument, label, found)]
    yield from apart
    yield from _merged(together)


def _one(argument: str, label: str, found: list[Left]) -> list[Left]:
    """The only one, or that of the label.

    Raises:
        InvalidInputError: several.
    """
    named = [left for left in found if label and label in (left.label, left.model)]
    chosen = named if len(found) > 1 and len(named) == 1 else found
    if len(chosen) > 1:
        several = ", ".join(_called(left) for left in found)
        raise InvalidInputError(f"{argument} holds several runs; name one: {several}.")
    return chosen


def _called(left: Left) -> str:
    """How a run may be named alone."""
    called = left.label or left.model
    return f"{called}={left.folder}" if called else str(left.folder)


def _at(argument: str, formats: Sequence[LogFormat], progress: Progress | None) -> list[Left]:
    """What one argument stands for.

    Raises:
        InvalidInputError: nothing that any format knows.
    """
    paths, pattern = expanded(argument, progress)
    found = {path: _claims([left for f in formats for left in _finds(f, path)]) for path in paths}
    nothing = [path for path, lefts in found.items() if not lefts]
    # A pattern may catch results files beside the samples; only what it names is asked for.
    if nothing and not (pattern and len(nothing) < len(paths)):
        raise no_logs(nothing[0], len(formats) > 1)
    return [left for lefts in found.values() for left in lefts]


def _finds(format_: LogFormat, path: Path) -> Sequence[Left]:
    """What a format finds; one that fails is said to, and is not in the way of others."""
    try:
        return format_.finds(path)
    except BrokenMemberError as error:
        log.warning("%s", error)
        return []


def _claims(found: list[Left]) -> list[Left]:
    """Each file of one format: a sure claim before others, else the first format's."""
    claimed: dict[Path, str] = {}
    kept = []
    for left in sorted(found, key=lambda left: not left.sure):
        others = {f.path for f in left.files.values() if claimed.get(f.path) != left.format}
        lost = others & claimed.keys()
        if lost and left.sure:
            first = min(lost)
            log.warning(
                "%s is of two formats, %s and %s: read as %s.",
                first, claimed[first], left.format, claimed[first],
            )  # fmt: skip
        files = {task: file for task, file in left.files.items() if file.path not in lost}
        claimed |= {file.path: left.format for file in files.values()}
        if files:
            kept.append(replace(left, files=files))
    return kept


def _merged(found: Iterable[Left]) -> list[Left]:
    """Of each format, folder, label and model one, with the newest file of each task."""
    merged: dict[tuple[str, Path, str, str], Left] = {}
    for left in found:
        key = left.format, left.folder, left.label, left.model
        if key not in merged:
            merged[key] = left
            continue
        files = dict(merged[key].files)
        for task, file in left.files.items():
            if task not in files or file.date > files[task].date:
                files[task] = file
        merged[key] = replace(merged[key], files=files)
    return list(merged.values())


def _longer(label: str, place: Path) -> str:
    """A label with where its folder is; of one that is named by the model only what is above it.

    The harness calls a folder by the model's path, with `__` for each `/`.
    """
    if label in (short_model_name(place.name), place.name.rpartition("__")[2]):
        return str(place.parent / label if len(place.parts) < 2 else place.parent)
    return str(place)


def _told_apart(labels: list[str], folders: list[Path]) -> list[str]:
    """The labels, with as much of the folder, or a number, as makes each of them unique."""
    twice = {label for label in labels if labels.count(label) > 1}
    if not twice:
        return labels
    places = [Path(os.path.abspath(as_given(str(folder.resolve())))) for folder in folders]
    shared = Path(os.path.commonpath(places))
    longer = [
        redact(_longer(label, place.relative_to(shared)))
        if label in twice and place != shared
        else label
        for label, place in zip(labels, places, strict=True)
    ]
    return [
        f"{label} ({longer[: i + 1].count(label)})" if longer.count(label) > 1 else label
        for i, label in enumerate(longer)
    ]
