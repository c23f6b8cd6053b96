"""What every format of logs is: how its runs are found, and how they are read.

A format knows files by their names and first bytes, reads what one run left behind, and may show
single documents again. What a reader of logs shares is elsewhere: which paths are meant, labels
that tell runs apart, secrets, worker processes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.logs.workers import KilledWorkerError, Submit
from lm_eval_calibration.members import wrong_name

Progress = Callable[[int], None]


class LogFile(NamedTuple):
    """One file of a run, or what one task has of it.

    Attributes:
        task: its name; a file of several tasks is listed once for each.
        date: when the run ended, as text that sorts by time; of one task's files in a folder the last
            one counts. "": it does not say.
        path: where it lies.
        part: which run's, in the format's own words, of a file that holds several runs.
    """

    task: str
    date: str
    path: Path
    part: str = ""


@dataclass(frozen=True)
class Left:
    """What a run left behind.

    Attributes:
        format: by name.
        folder: in which it lies.
        files: by task.
        label: what tells the run from others; "" for its model's name, or its folder's. What one
            folder holds of one format, label and model is one run.
        model: the model's name, where the files say it; `--calibrator` compares it.
        results: what is said of the whole run as the harness's results files have it, newest first;
            none where there is nothing of the kind.
        secrets: of the run's configuration; they are found in `results`, and need not be given.
        sure: whether names or first bytes say that the files are of this format; a claim that is
            not sure gives way to one that is.
    """

    format: str
    folder: Path
    files: Mapping[str, LogFile]
    label: str = ""
    model: str = ""
    results: tuple[Mapping[str, Any], ...] = ()
    secrets: frozenset[str] = frozenset()
    sure: bool = True


@dataclass(frozen=True)
class AskedOfLogs:
    """How runs are to be read.

    Attributes:
        skip_bad: leave out what cannot be read, and count it in `Samples.notes`; else it is an error.
        filter_name: of answers that were logged by several filters, whose are read.
        submit: has a function run in another process, where there are several.
        progress: to be called with the number of bytes read since the last call.
    """

    skip_bad: bool = False
    filter_name: str | None = None
    submit: Submit = partial
    progress: Progress | None = None


class ReadRun(NamedTuple):
    """Runs, and why something was left out; no run where that is all there was."""

    runs: list[Run]
    left_out: list[str]


@dataclass(frozen=True)
class Begun:
    """A run whose reading has begun.

    Attributes:
        finish: waits for it.
        filters: whose answers will be read, where there are filters.
    """

    finish: Callable[[], ReadRun]
    filters: Collection[str] = ()


class LogFormat(Protocol):
    """A format of logs; `lm_eval_calibration.testing.check_format` is what it must pass.

    Attributes:
        name: as `lm-calib` says it.
        meaning: one line.
    """

    name: str
    meaning: str

    def finds(self, path: Path) -> Sequence[Left]:
        """What runs of this format left at a path: a file, or a folder searched at any depth.

        Nothing where there is nothing of this format. It is fast: names and first bytes.
        """

    def about(self, left: Left) -> Left:
        """The same, with what is said of the whole run: its model and its results.

        It is called once for each run that was found, and may read, where `finds` may not.

        Raises:
            InvalidInputError: that is damaged.
        """

    def begin(self, left: Left, asked: AskedOfLogs) -> Begun:
        """Begin to read a run.

        Raises:
            InvalidInputError: now, or when it is finished: what cannot be read, with its file and
                where in it; with `skip_bad` only if nothing can.
        """

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """The documents of some rows, with their texts.

        Raises:
            InvalidInputError: the logs hold no texts.
        """


class FileByFile:
    """A format that has a file for each task, read whole: derive from it, and say how one is read."""

    name: str
    meaning: str
    leaves_out: tuple[type[InvalidInputError], ...] = ()
    """Errors of `read` after which a file is left out, with the reason, whatever was asked."""

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """A task's file.

        Args:
            file: one that `finds` found.
            label: the run's; `Samples.run`.
            skip_bad: leave out rows that cannot be read, and say how many in `Samples.notes`. A
                format that cannot tell rows apart may ignore it: the whole file is left out then.

        Raises:
            InvalidInputError: the file, or without `skip_bad` a row of it, cannot be read; it names
                the file.
        """
        raise NotImplementedError

    def about(self, left: Left) -> Left:
        """Nothing more, unless a format knows it."""
        return left

    def begin(self, left: Left, asked: AskedOfLogs) -> Begun:
        """Have each file read; with `skip_bad` those that cannot be are left out, with the reason."""
        begun = [
            (asked.submit(self._read, file.path, file, left.label, asked.skip_bad), file)
            for file in left.files.values()
        ]

        def finish() -> ReadRun:
            samples: dict[str, Samples] = {}
            reasons: list[str] = []
            for result, file in begun:
                try:
                    samples[file.task] = result()
                except InvalidInputError as error:
                    skipped = asked.skip_bad and not isinstance(error, KilledWorkerError)
                    if not skipped and not isinstance(error, self.leaves_out):
                        raise
                    reasons.append(str(error))
                if asked.progress is not None:
                    asked.progress(file.path.stat().st_size)
            runs = [Run(left.label, samples, results=left.results)] if samples else []
            return ReadRun(runs, reasons)

        return Begun(finish)

    def _read(self, path: Path, file: LogFile, label: str, skip_bad: bool) -> Samples:
        return self.read(file, label, skip_bad)

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """None, unless a format has them."""
        raise InvalidInputError(f"{samples.path} holds no texts of documents.")


def what_is_wrong(found: Any) -> str:
    """Why an object is no format; "" if it is one."""
    texts = [
        name for name in ("name", "meaning") if not isinstance(getattr(found, name, None), str)
    ]
    calls = [
        n for n in ("finds", "about", "begin", "documents") if not callable(getattr(found, n, None))
    ]
    if isinstance(found, type):
        return "it is a class; name an instance of it"
    missing = ", ".join(texts + calls)
    if missing:
        return f"a format needs {missing}; see lm_eval_calibration.logs.contract"
    return wrong_name(found.name)
