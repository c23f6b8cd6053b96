"""`GuardedFormat`: a format of another package, whose failures name that package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from lm_eval_calibration.logs.contract import AskedOfLogs, Begun, Left, LogFormat, ReadRun
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.members import BrokenMemberError, blaming

T = TypeVar("T")


class GuardedFormat:
    """A `LogFormat` that does what another does, and raises errors of ours only.

    Args:
        inner: the format.
        about: what it is called in errors, with its package.
    """

    def __init__(self, inner: LogFormat, about: str) -> None:
        self._inner, self._about = inner, about
        self.name, self.meaning = inner.name, inner.meaning

    def finds(self, path: Path) -> Sequence[Left]:
        """As the format does."""
        with blaming(self._about, f"look for runs in {path}"):
            found = list(self._inner.finds(path))
        for left in found:
            if self._is(Left, left, "finds").format != self.name:
                raise BrokenMemberError(f"{self._about}: `Left.format` must be {self.name!r}.")
        return found

    def about(self, left: Left) -> Left:
        """As the format does."""
        with blaming(self._about, f"read what is said of the run in {left.folder}"):
            return self._is(Left, self._inner.about(left), "about")

    def begin(self, left: Left, asked: AskedOfLogs) -> Begun:
        """As the format does."""
        doing = f"read the run in {left.folder}"
        with blaming(self._about, doing):
            begun = self._is(Begun, self._inner.begin(left, asked), "begin")

        def finish() -> ReadRun:
            with blaming(self._about, doing):
                read = self._is(ReadRun, begun.finish(), "finish")
                for run in read.runs:
                    for samples in self._is(Run, run, "finish").samples.values():
                        self._is(Samples, samples, "read")
            return read

        return replace(begun, finish=finish)

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """As the format does."""
        with blaming(self._about, f"show documents of {samples.path}"):
            return list(self._inner.documents(samples, rows))

    def _is(self, kind: type[T], found: Any, where: str) -> T:
        if not isinstance(found, kind):
            raise BrokenMemberError(
                f"{self._about}: `{where}` must give {kind.__name__}, got {type(found).__name__}. "
                "Tell its authors."
            )
        return found
