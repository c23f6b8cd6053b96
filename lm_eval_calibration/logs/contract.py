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

from lm_eval_calibration.logs.documents import Document
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.logs.workers import Submit

Progress = Callable[[int], None]


class LogFile(NamedTuple):
    """One file of a run: its task, when the run ended ("": it does not say), and where it lies."""

    task: str
    date: str
    path: Path


@dataclass(frozen=True)
class Left:
    """What a run left behind.

    Attributes:
        format: by name.
        folder: in which it lies; what one folder holds of one format is one run.
        files: by task.
        label: what tells the run from others; "" for its model's name, or its folder's.
        model: the model's name, where the files say it.
        results: what is said of the whole run, e.g. the harness's results files, newest first.
        secrets: of the run's configuration.
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
class Asked:
    """How runs are to be read.

    Attributes:
        skip_bad: leave out what cannot be read, and count it in `Samples.notes`.
        filter_name: of answers that were logged by several filters, whose are read.
        submit: has a function run in another process, where there are several.
        progress: to be called with the number of bytes read since the last call.
    """

    skip_bad: bool = False
    filter_name: str | None = None
    submit: Submit = partial
    progress: Progress | None = None


class Read(NamedTuple):
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

    finish: Callable[[], Read]
    filters: Collection[str] = ()


class Format(Protocol):
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

        Raises:
            InvalidInputError: that is damaged.
        """

    def begin(self, left: Left, asked: Asked) -> Begun:
        """Begin to read a run.

        Raises:
            InvalidInputError: now, or when it is finished: what cannot be read, with its file and
                where in it; with `skip_bad` only if nothing can.
        """

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[Document]:
        """The documents of some rows, with their texts.

        Raises:
            InvalidInputError: the logs hold no texts.
        """


class FileByFile:
    """A format that has a file for each task, read whole: derive from it, and say how one is read."""

    name: str
    meaning: str

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """A task's file.

        Args:
            file: one that `finds` found.
            label: the run's; `Samples.run`.
            skip_bad: as in `Asked`.
        """
        raise NotImplementedError

    def about(self, left: Left) -> Left:
        """Nothing more, unless a format knows it."""
        return left

    def begin(self, left: Left, asked: Asked) -> Begun:
        """Have each file read."""
        begun = [
            (asked.submit(self._read, file.path, file, left.label, asked.skip_bad), file)
            for file in left.files.values()
        ]

        def finish() -> Read:
            samples = {}
            for result, file in begun:
                samples[file.task] = result()
                if asked.progress is not None:
                    asked.progress(file.path.stat().st_size)
            return Read([Run(left.label, samples, results=left.results)], [])

        return Begun(finish)

    def _read(self, path: Path, file: LogFile, label: str, skip_bad: bool) -> Samples:
        return self.read(file, label, skip_bad)

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[Document]:
        """None, unless a format has them."""
        from lm_eval_calibration.errors import InvalidInputError

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
    return f"a format needs {missing}; see lm_eval_calibration.logs.contract" if missing else ""
