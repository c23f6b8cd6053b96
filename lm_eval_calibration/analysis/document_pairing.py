"""Which documents two runs have in common, by the documents' hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.names import upstream_name


class Match(NamedTuple):
    """Runs on the same tasks and documents, row by row.

    runs: as given, but for rows and tasks that not all have; tasks are called as in the first.
    left_out: what that was, in words.
    renamed: tasks of other names that were paired by their documents, in words.
    """

    runs: list[Run]
    left_out: list[str]
    renamed: list[str]


NAMED = 4
"""Tasks, or runs, that are named before the rest is counted."""
ALLOWED = "--allow-partial (in Python `allow_partial=True`) compares on what all runs have."
"""What a comparison advises where documents are not in all runs."""


def match(runs: Sequence[Run], *, allow_partial: bool = False, advice: str = ALLOWED) -> Match:
    """Bring runs onto the tasks and documents that all of them have.

    A task and its twin (`arc_easy`, `calib_arc_easy`) are one task: their documents are the same.
    So are tasks of any names that not all runs have, if most of their documents are the same (two
    prompts for one data set) and no third task has those documents.

    Args:
        runs: two or more.
        allow_partial: go on if some documents or tasks are not in all runs.
        advice: how the reader would allow it.

    Raises:
        InvalidInputError: fewer than two runs, nothing in common, or documents that cannot be
            paired; without `allow_partial` also any document or task that is not in all runs.
    """
    if len(runs) < 2:
        raise InvalidInputError(f"A comparison needs at least two runs, got {len(runs)}.")
    named = [{upstream_name(task): s for task, s in run.samples.items()} for run in runs]
    renamed = _rename(named)
    common = [name for name in named[0] if all(name in other for other in named[1:])]
    left_out = [
        _alone(run.label, [s.task for name, s in tasks.items() if name not in common])
        for run, tasks in zip(runs, named, strict=True)
        if not tasks.keys() <= set(common)
    ]
    matched: list[dict[str, Samples]] = [{} for _ in runs]
    for name in common:
        parts = [tasks[name] for tasks in named]
        rows, missing = pair_rows(parts)
        left_out += [
            f"{s.run}: {count:,} of the {len(s):,} documents{f' of {s.task}' if s.task else ''} are not in all runs"
            for s, count in zip(parts, missing, strict=True)
            if count
        ]
        if len(rows[0]):
            for tasks, s, r in zip(matched, parts, rows, strict=True):
                tasks[parts[0].task] = _take(s, r, parts[0].task)
    _check(matched[0], left_out, None if allow_partial else advice)
    groups = {
        group: members
        for group, members in runs[0].groups.items()
        if all(member in matched[0] for member in members)
    }
    means = {group: runs[0].rows[group] for group in groups if group in runs[0].rows}
    return Match(
        [Run(r.label, s, groups, r.results, means) for r, s in zip(runs, matched, strict=True)],
        left_out,
        renamed,
    )


def _rename(named: list[dict[str, Samples]]) -> list[str]:
    """Call tasks by the first run's name for their documents; say which."""
    first, *others = named
    renamed = []
    for name in [name for name in first if any(name not in other for other in others)]:
        for other in others:
            free = [own for own in other if own not in first]
            partner = _partner(first[name], [other[own] for own in free])
            if name not in other and partner is not None:
                samples = other.pop(free[partner])
                other[name] = samples
                renamed.append(
                    f"{samples.run}: {samples.task} has the documents of {first[name].task}"
                )
    return renamed


def _partner(wanted: Samples, offered: Sequence[Samples]) -> int | None:
    """Which of the samples alone has more than half of the wanted documents."""
    shared = [len(np.intersect1d(wanted.doc_hash, s.doc_hash)) for s in offered]
    likely = [i for i, count in enumerate(shared) if 2 * count > len(wanted)]
    return likely[0] if len(likely) == 1 else None


def _check(matched: dict[str, Samples], left_out: list[str], advice: str | None) -> None:
    if not matched:
        raise InvalidInputError(
            f"The runs have no document in common: {_few(left_out)}. Were they made from the "
            "same data, by the same framework? (Documents are known by what a framework logs of them.)"
        )
    if left_out and advice is not None:
        raise InvalidInputError(f"Not all documents match: {_few(left_out)}. {advice}")


def _alone(label: str, tasks: list[str]) -> str:
    """That tasks of a run are not in all runs."""
    if len(tasks) == 1:
        return f"{label}: task {tasks[0]} is not in all runs"
    more = f" and {len(tasks) - NAMED} more" if len(tasks) > NAMED else ""
    return f"{label}: tasks {', '.join(tasks[:NAMED])}{more} are not in all runs"


def _few(texts: list[str]) -> str:
    """The first of several texts, and how many more there are."""
    more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return "; ".join(texts[:NAMED]) + more


def _take(s: Samples, rows: NDArray[np.intp], task: str) -> Samples:
    normalised = {suffix: p.take(rows) for suffix, p in s.normalised.items()}
    return replace(
        s,
        task=task,
        predictions=s.predictions.take(rows),
        normalised=normalised,
        doc_hash=s.doc_hash[rows],
        offset=s.offset[rows] if len(s.offset) else s.offset,
        columns={name: cells[rows] for name, cells in s.columns.items()},
        cluster=s.cluster[rows] if len(s.cluster) else s.cluster,
    )


class Pairing(NamedTuple):
    """Rows of the documents that all of several runs logged, in the order of the first run.

    rows: one (M,) array of row numbers per run; missing: for each run, how many of its documents
    some other run lacks.
    """

    rows: list[NDArray[np.intp]]
    missing: list[int]


def pair_rows(samples: Sequence[Samples]) -> Pairing:
    """Pair documents by hash; a document that a task holds twice is paired in order of standing.

    Raises:
        InvalidInputError: samples without document hashes, as of a table of confidences.
    """
    for s in samples:
        if len(s.doc_hash) != len(s):
            raise InvalidInputError(
                f"{s.path} holds no document hashes to pair runs by. Of a table name the column that tells "
                "documents apart: --document COLUMN (in Python `document`)."
            )
    keys = [_numbered(s.doc_hash) for s in samples]
    common = keys[0]
    for other in keys[1:]:
        common = np.intersect1d(common, other, assume_unique=True)
    rows = [_rows_of(common, key) for key in keys]
    order = np.argsort(rows[0])
    return Pairing([r[order] for r in rows], [len(key) - len(common) for key in keys])


def _numbered(hashes: NDArray[np.uint64]) -> NDArray[np.void]:
    """(N,) (hash, how many equal ones stand before) of every document, as one sortable value."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    new = np.r_[True, ordered[1:] != ordered[:-1]]
    start = np.maximum.accumulate(np.where(new, np.arange(len(ordered)), 0))
    occurrence = np.empty(len(hashes), dtype=np.uint64)
    occurrence[order] = np.arange(len(ordered)) - start
    numbered = np.empty(len(hashes), dtype=[("hash", np.uint64), ("occurrence", np.uint64)])
    numbered["hash"], numbered["occurrence"] = hashes, occurrence
    return numbered


def _rows_of(common: NDArray[np.void], keys: NDArray[np.void]) -> NDArray[np.intp]:
    order = np.argsort(keys, order=("hash", "occurrence"))
    return order[np.searchsorted(keys[order], common)]
