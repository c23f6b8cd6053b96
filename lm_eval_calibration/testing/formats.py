"""What every format of logs obeys."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lm_eval_calibration.errors import CalibrationError, InvalidInputError
from lm_eval_calibration.logs.contract import Asked, Format, what_is_wrong
from lm_eval_calibration.logs.formats import FORMATS
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.logs.runs import find_runs, read_found
from lm_eval_calibration.testing.laws import holds

FOREIGN = {
    "README.md": b"# logs\n",
    "notes.txt": b"",
    "table.csv": b"p,ok\n0.5,1\n",
    "rows.jsonl": b'{"p": 0.5}\n',
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "data.json": b'{"a": [1, 2, 3]}',
    "broken.parquet": b"PAR1" + bytes(32),
    "samples_arc_easy_2026-01-01T00-00-00.000001.jsonl": b'{"doc_id": 0}\n',
}
"""Files beside logs that are not of a format, by name and first bytes."""
CUTS = (0.0, 0.1, 0.5, 0.97)
"""How much of a file is left when it is cut off."""


def check_format(format_: Format, logs: Path, *, foreign: Sequence[str] | None = None) -> None:
    """Hold a format to its contract.

    Args:
        format_: an object as in `logs.contract`.
        logs: a folder with logs of this format, a run or several; it is copied, and not changed.
        foreign: names of `FOREIGN` that are not of this format; all of them by default.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    wrong = what_is_wrong(format_)
    holds(not wrong, wrong)
    with FORMATS.added(format_), tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        mine = work / "logs"
        shutil.copytree(logs, mine)
        leaves_others_alone(format_, work / "foreign", [*FOREIGN] if foreign is None else foreign)
        runs = reads(format_, mine)
        is_the_same_again(format_, mine, runs)
        shows_documents(format_, runs)
        bears_damage(format_, mine, runs)


def leaves_others_alone(format_: Format, folder: Path, names: Sequence[str]) -> None:
    """An empty folder and files of others are none of its runs, one by one and together."""
    folder.mkdir()
    holds(not format_.finds(folder), "an empty folder holds no runs")
    for name in names:
        (folder / name).write_bytes(FOREIGN[name])
        found = [left for left in format_.finds(folder / name) if left.sure]
        holds(not found, f"{name} is no log of this format")
    holds(not format_.finds(folder), f"no log of this format is among {', '.join(names)}")


def reads(format_: Format, folder: Path) -> list[Run]:
    """Its logs are found in their folder and one by one; the folder stays as it is."""
    before = _digests(folder)
    found = find_runs([folder], formats=[format_])
    holds(found, "no run was found")
    for left in found:
        holds(left.format == format_.name, "`Left.format` must be the format's name")
        holds(left.files, "a run must have files")
        for task, file in left.files.items():
            holds(file.task == task, "files must be listed by their tasks")
            holds(file.path.is_relative_to(folder), "files must lie where they were found")
    runs, _ = read_found(found, Asked(), formats=[format_])
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


def _is_sound(samples: Samples, run: Run, task: str, format_: Format) -> None:
    count = len(samples.predictions)
    holds(samples.task == task and samples.run == run.label, "samples must name run and task")
    holds(count > 0, f"{task} has no documents")
    holds(samples.path.exists(), f"{samples.path} is not there")
    holds(len(samples.doc_hash) in (0, count), "`doc_hash` is one number for each document")
    holds(len(samples.offset) in (0, count), "`offset` is one number for each document")
    holds(samples.format in ("", format_.name), "`Samples.format` must be the format's name")
    for normalised in samples.normalised.values():
        holds(len(normalised) == count, "normalised beliefs are of the same documents")


def is_the_same_again(format_: Format, folder: Path, runs: Sequence[Run]) -> None:
    """Read once more, or in another order, the figures are the same."""
    found = find_runs([folder], formats=[format_])
    again, _ = read_found(found, Asked(), formats=[format_])
    holds(_alike(runs, again), "a run that is read again must be the same")
    backwards = [format_.begin(left, Asked(submit=partial)) for left in reversed(found)]
    last_first = [run for begun in backwards for run in begun.finish().runs]
    holds(_alike(runs, last_first[::-1]), "the order in which runs are read must not matter")


def shows_documents(format_: Format, runs: Sequence[Run]) -> None:
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


def bears_damage(format_: Format, folder: Path, runs: Sequence[Run]) -> None:
    """A file that is cut off, or full of something else, is refused by name; nothing is read amiss."""
    whole = {s.path: len(s) for run in runs for s in run.samples.values()}
    for path, count in whole.items():
        data = path.read_bytes()
        spoilt = [data[: int(len(data) * cut)] for cut in CUTS]
        for broken in (*spoilt, bytes(len(data)), b"\xff" * 100):
            path.write_bytes(broken)
            _bears(format_, folder, path, count)
        path.write_bytes(data)


def _bears(format_: Format, folder: Path, path: Path, count: int) -> None:
    for skip_bad in (False, True):
        try:
            found = find_runs([folder], formats=[format_])
            runs, left_out = read_found(found, Asked(skip_bad), formats=[format_])
        except CalibrationError as error:
            holds(len(str(error).splitlines()) == 1, "an error is one line")
            continue
        except Exception as error:
            raise AssertionError(
                f"a damaged {path.name} must be an InvalidInputError, got {error!r}"
            ) from error
        for samples in (s for run in runs for s in run.samples.values() if s.path == path):
            complete = len(samples) == count or samples.notes or left_out
            holds(complete or not skip_bad, "what is left out must be said in `notes`")


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
        (task, s.predictions.confidence.tobytes(), s.predictions.correct.tobytes())
        for task, s in run.samples.items()
    )
