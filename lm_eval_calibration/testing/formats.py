"""What every format of logs obeys."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import AskedOfLogs, LogFormat, what_is_wrong
from lm_eval_calibration.logs.formats import FORMATS
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.logs.runs import find_runs, read_found
from lm_eval_calibration.testing.damage import bears_damage
from lm_eval_calibration.testing.laws import can_be_named, holds, law

FOREIGN = {
    "README.md": b"# logs\n",
    "notes.txt": b"",
    "table.csv": b"p,ok\n0.5,1\n",
    "rows.jsonl": b'{"p": 0.5}\n',
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "data.json": b'{"a": [1, 2, 3]}',
    "broken.parquet": b"PAR1" + bytes(32),
    "samples_arc_easy_2026-01-01T00-00-00.000001.jsonl": b"""{"doc_id": 0, "doc": {"question": "Is it?"}, \
"target": "0", "arguments": {"gen_args_0": {"arg_0": "Is it?", "arg_1": " yes"}, "gen_args_1": \
{"arg_0": "Is it?", "arg_1": " no"}}, "resps": [[["-1.0", "False"]], [["-2.0", "False"]]], \
"filtered_resps": [["-1.0", "False"], ["-2.0", "False"]], "filter": "none", "metrics": ["acc"], \
"doc_hash": "00f1", "prompt_hash": "00f2", "target_hash": "00f3", "acc": 1.0}
""",
}
"""Files beside logs that are not of a format, by name and first bytes."""


def check_format(
    format_: LogFormat,
    logs: Path,
    *,
    foreign: Sequence[str] | None = None,
    expected: Mapping[str, float] | None = None,
) -> None:
    """Hold a format to its contract.

    Args:
        format_: an object as in `logs.contract`.
        logs: a folder with logs of this format, a run or several; it is copied, and not changed.
        foreign: names of `FOREIGN` that are not of this format; all of them by default.
        expected: what the accuracy is over all documents of a file, by its path in `logs`.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    is_a_member(format_)
    holds(Path(logs).is_dir(), f"`logs` must be a folder with logs of the format, got {logs}")
    with FORMATS.added(format_), tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        mine = work / "logs"
        shutil.copytree(logs, mine)
        leaves_others_alone(format_, work / "foreign", [*FOREIGN] if foreign is None else foreign)
        tells_runs_apart(format_, mine)
        runs = reads(format_, mine)
        is_as_expected(runs, {mine / path: figure for path, figure in (expected or {}).items()})
        is_the_same_again(format_, mine, runs)
        shows_documents(format_, runs)
        bears_damage(format_, mine, runs)


@law
def is_a_member(format_: LogFormat) -> None:
    """It must be a `LogFormat` that can be named, and says what it is."""
    can_be_named(format_, what_is_wrong(format_), FORMATS)


@law
def leaves_others_alone(format_: LogFormat, folder: Path, names: Sequence[str]) -> None:
    """An empty folder and files of others are none of its runs, one by one and together."""
    folder.mkdir()
    holds(not format_.finds(folder), "an empty folder holds no runs")
    for name in names:
        (folder / name).write_bytes(FOREIGN[name])
        found = [left for left in format_.finds(folder / name) if left.sure]
        holds(not found, f"{name} is no log of this format")
    holds(not format_.finds(folder), f"no log of this format is among {', '.join(names)}")


@law
def tells_runs_apart(format_: LogFormat, folder: Path) -> None:
    """Each run must be found once, in its folder and by each of its files."""
    found = format_.finds(folder)
    holds(found, "no run of this format was found in the folder")
    keys = [(left.folder, left.label, left.model) for left in found]
    twice = {str(key) for key in keys if keys.count(key) > 1}
    holds(
        not twice,
        "what one folder holds of one label and model is one `Left`; give each run its label, got two of "
        + ", ".join(sorted(twice)),
    )
    kept = find_runs([folder], formats=[format_])
    holds(len(kept) == len(found), f"of {len(found)} runs that were found, {len(kept)} were kept")
    for left in found:
        for file in left.files.values():
            alone = [f for one in format_.finds(file.path) for f in one.files.values()]
            holds(file in alone, f"{file.path.name} must be found when it is named itself, too")


@law
def reads(format_: LogFormat, folder: Path) -> list[Run]:
    """Its logs are found in their folder and one by one; the folder stays as it is."""
    before = _digests(folder)
    found = find_runs([folder], formats=[format_])
    for left in found:
        holds(left.format == format_.name, "`Left.format` must be the format's name")
        holds(left.files, "a run must have files")
        for task, file in left.files.items():
            holds(file.task == task, "files must be listed by their tasks")
            holds(file.path.is_relative_to(folder), "files must lie where they were found")
    runs, _ = read_found(found, AskedOfLogs(), formats=[format_])
    holds(
        [run.label for run in runs] == [left.label for left in found],
        "runs must be called by `Left.label`",
    )
    for run in runs:
        holds(run.samples, f"{run.label} has no tasks")
        for task, samples in run.samples.items():
            _is_sound(samples, run, task, format_)
    holds(_digests(folder) == before, "reading must change nothing")
    return runs


def _is_sound(samples: Samples, run: Run, task: str, format_: LogFormat) -> None:
    count = len(samples.predictions)
    holds(samples.task == task and samples.run == run.label, "samples must name run and task")
    holds(count > 0, f"{task} has no documents")
    holds(samples.path.exists(), f"{samples.path} is not there")
    hashes = samples.doc_hash
    holds(len(hashes) in (0, count), "`doc_hash` is one number for each document")
    holds(hashes.dtype == np.uint64, f"`doc_hash` must be of uint64, got {hashes.dtype}")
    apart = count == 1 or len(hashes) == 0 or len(np.unique(hashes)) > 1
    holds(apart, f"`doc_hash` must tell documents apart, and is the same for all of {task}")
    holds(len(samples.offset) in (0, count), "`offset` is one number for each document")
    holds(samples.format in ("", format_.name), "`Samples.format` must be the format's name")
    for normalised in samples.normalised.values():
        holds(len(normalised) == count, "normalised beliefs are of the same documents")


def is_as_expected(runs: Sequence[Run], expected: Mapping[Path, float]) -> None:
    """The accuracy of files is what it is said to be."""
    for path, figure in expected.items():
        right = [s.predictions.correct for r in runs for s in r.samples.values() if s.path == path]
        holds(right, f"nothing was read of {path.name}")
        found = float(np.concatenate(right).mean())
        holds(np.isclose(found, figure), f"acc of {path.name} must be {figure}, got {found}")


@law
def is_the_same_again(format_: LogFormat, folder: Path, runs: Sequence[Run]) -> None:
    """Read once more, or in another order, the figures are the same."""
    found = find_runs([folder], formats=[format_])
    again, _ = read_found(found, AskedOfLogs(), formats=[format_])
    holds(_alike(runs, again), "a run that is read again must be the same")
    backwards = [format_.begin(left, AskedOfLogs(submit=partial)) for left in reversed(found)]
    last_first = [run for begun in backwards for run in begun.finish().runs]
    holds(_alike(runs, last_first[::-1]), "the order in which runs are read must not matter")


@law
def shows_documents(format_: LogFormat, runs: Sequence[Run]) -> None:
    """Documents are shown as they were read, or there is an error that says that there are none."""
    for run in runs:
        for samples in run.samples.values():
            rows = sorted({0, len(samples) - 1})
            try:
                shown = format_.documents(samples, rows)
            except InvalidInputError as error:
                holds(str(samples.path) in str(error), "the error must name the file")
                continue
            holds(len(shown) == len(rows), "one document for each row")
            for row, document in zip(rows, shown, strict=True):
                c = float(samples.predictions.confidence[row])
                holds(np.isclose(document.confidence, c), "documents must be those of the rows")


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _alike(some: Sequence[Run], others: Sequence[Run]) -> bool:
    return [_figures(run) for run in some] == [_figures(run) for run in others]


def _figures(run: Run) -> tuple[object, ...]:
    return run.label, tuple(
        (
            task,
            s.predictions.confidence.tobytes(),
            s.predictions.correct.tobytes(),
            s.doc_hash.tobytes(),
        )
        for task, s in run.samples.items()
    )
