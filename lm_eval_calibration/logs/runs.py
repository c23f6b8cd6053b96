"""Read whole runs: every task of every folder that was named."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs.formats.harness.files import SampleFile, sample_files
from lm_eval_calibration.logs.formats.harness.line import OtherTypeError
from lm_eval_calibration.logs.formats.harness.results import groups_of, results_of
from lm_eval_calibration.logs.formats.harness.samples_file import (
    LARGE_BYTES,
    Pending,
    Progress,
    begin,
)
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.logs.secret_places import RESULTS
from lm_eval_calibration.logs.workers import Submit, workers
from lm_eval_calibration.redact import hiding, redact, secrets_in


def read_runs(
    paths: Sequence[str | Path],
    *,
    one_each: bool = False,
    skip_bad: bool = False,
    filter_name: str | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> tuple[list[Run], list[str]]:
    """Read runs of the harness: one for each folder with samples.

    Args:
        paths: samples files, folders searched at any depth, or glob patterns. `label=path` names
            a run; otherwise it is called by its model, or by its folder.
        one_each: every path is one run, as when runs are compared, and may not hold several.
        skip_bad: leave out lines that cannot be read; `Samples.notes` counts them.
        filter_name: of tasks with several filters, whose lines are read; the first one's by default.
        processes: worker processes, if there is much to read.
        progress: called with the number of bytes read since the last call.

    Returns:
        The runs in the order named; and why files, such as those of generation tasks, were left
        out of a folder in which others could be read.

    Raises:
        InvalidInputError: a path that holds no samples, a line that cannot be read (unless
            `skip_bad`), a run without multiple-choice documents, or a filter that no file has.
    """
    found = find_runs(paths, one_each)
    runs, unread = [], []
    with workers(processes, _size(found) > LARGE_BYTES) as submit:
        # All files are begun before the first is finished, so that small ones are parallel too.
        begun = [
            {task: _begin(file, submit, filter_name, f.secrets) for task, file in f.files.items()}
            for f in found
        ]
        _check_filter(filter_name, [pending for tasks in begun for pending in tasks.values()])
        for (label, _, results, secrets), tasks in zip(found, begun, strict=True):
            read: dict[str, Samples] = {}
            reasons = []
            for task, pending in tasks.items():
                try:
                    with hiding(secrets):
                        if isinstance(pending, OtherTypeError):
                            raise pending
                        samples = pending.finish(label, skip_bad, progress)
                    notes = redact(samples.notes, secrets)
                    read[task] = replace(samples, notes=notes, secrets=secrets)
                except OtherTypeError as error:
                    reasons.append(str(error))
            if not read:
                raise InvalidInputError("No multiple-choice documents. " + " ".join(reasons))
            unread += reasons
            runs.append(Run(label, read, groups_of(results, read), tuple(results)))
    return runs, unread


def _begin(
    file: SampleFile, submit: Submit, wanted: str | None, secrets: frozenset[str]
) -> Pending | OtherTypeError:
    """A file whose reading has begun, or why it holds nothing to read."""
    try:
        with hiding(secrets):
            return begin(file.path, submit, wanted)
    except OtherTypeError as error:
        return error


def _check_filter(wanted: str | None, begun: Sequence[Pending | OtherTypeError]) -> None:
    found = {str(each.filter_name) for each in begun if isinstance(each, Pending)}
    if wanted is not None and wanted not in found:
        raise invalid("--filter", f"one that the files name, as {', '.join(sorted(found))}", wanted)


def size_of(paths: Sequence[str | Path]) -> int:
    """Bytes of the files that `read_runs` would read."""
    return _size(_files(paths, one_each=False))


def _size(found: Iterable[_Folder | FoundRun]) -> int:
    return sum(file.path.stat().st_size for run in found for file in run.files.values())


class _Folder(NamedTuple):
    """The files of one run, and the label that the user gave it, if any."""

    label: str
    path: Path
    files: dict[str, SampleFile]


class FoundRun(NamedTuple):
    """One run before it is read."""

    label: str
    files: dict[str, SampleFile]
    results: list[dict[str, Any]]
    secrets: frozenset[str]


def find_runs(paths: Sequence[str | Path], one_each: bool) -> list[FoundRun]:
    """The files of each run, with a label that no other run has; secrets are told by none."""
    folders = _files(paths, one_each)
    written = [results_of(folder.files.values()) for folder in folders]
    secrets = [secrets_in(*each, place=RESULTS) for each in written]
    results = [
        [redact(each, known, RESULTS) for each in of_run]
        for of_run, known in zip(written, secrets, strict=True)
    ]
    labels = [
        redact(f.label or _model(r, f.path), known)
        for f, r, known in zip(folders, results, secrets, strict=True)
    ]
    labels = _told_apart(labels, [folder.path for folder in folders])
    return [
        FoundRun(label, folder.files, r, known)
        for label, folder, r, known in zip(labels, folders, results, secrets, strict=True)
    ]


def _files(paths: Sequence[str | Path], one_each: bool) -> list[_Folder]:
    """Files by run: those of one folder are one run, however many paths named them."""
    apart, together = [], []
    for argument in map(str, paths):
        label, path = _labelled(argument)
        if label or one_each:
            found = [_Folder(label, *item) for item in sample_files([path]).items()]
            if len(found) > 1:
                several = ", ".join(str(folder.path) for folder in found)
                raise InvalidInputError(f"{argument} holds several runs; name one: {several}.")
            apart += found
        else:
            together.append(path)
    shared = sample_files(together) if together else {}
    return [*apart, *(_Folder("", *item) for item in shared.items())]


def _labelled(argument: str) -> tuple[str, str]:
    """`label=path` taken apart; a path that exists under the whole name is a path."""
    label, equals, path = argument.partition("=")
    if not equals or not label or "/" in label or os.path.exists(argument):
        return "", argument
    return label, path


def _model(results: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """The last part of the model's name, by the results or by the folder's name."""
    name = next((str(r["model_name"]) for r in results if r.get("model_name")), None)
    if name is None:
        name = folder.resolve().name.rpartition("__")[2]
    last = name.rstrip("/").rpartition("/")[2]
    return last.encode("utf-8", "replace").decode()  # (what no output can hold)


def _told_apart(labels: list[str], folders: list[Path]) -> list[str]:
    """The labels, with as much of the folder, or a number, as makes each of them unique."""
    twice = {label for label in labels if labels.count(label) > 1}
    if not twice:
        return labels
    places = [folder.resolve() for folder in folders]
    shared = Path(os.path.commonpath(places))
    longer = [
        redact(str(place.relative_to(shared))) if label in twice and place != shared else label
        for label, place in zip(labels, places, strict=True)
    ]
    return [
        f"{label} ({longer[: i + 1].count(label)})" if longer.count(label) > 1 else label
        for i, label in enumerate(longer)
    ]
