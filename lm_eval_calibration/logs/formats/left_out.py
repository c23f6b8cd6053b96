"""What is shared by formats that have one file for each task: rows that are bad, and files that are not read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import FileByFile
from lm_eval_calibration.logs.formats.harness.bad import OtherTypeError


@dataclass
class BadRows:
    """Rows of a file that cannot be read.

    Attributes:
        path: of the file.
        what: they are called, e.g. `row`.
        bad: (number, from 1; what is wrong with it).
    """

    path: Path
    what: str = "row"
    bad: list[tuple[int, str]] = field(default_factory=list)

    def check(self, skip_bad: bool, left: int) -> None:
        """Refuse what may not be left out.

        Args:
            skip_bad: whether bad rows may be left out.
            left: rows that could be read.

        Raises:
            InvalidInputError: there are bad rows that may not, or there is nothing but bad rows.
        """
        if not self.bad and left:
            return
        if not self.bad:
            raise InvalidInputError(f"{self.path} is empty: the run logged no documents.")
        number, wrong = self.bad[0]
        more = len(self.bad) - 1
        others = f" {more:,} more cannot be read." if more else ""
        if not left:
            raise InvalidInputError(
                f"{self.path} holds no document that can be read; {self.what} {number}: {wrong}.{others}"
            )
        if not skip_bad:
            raise InvalidInputError(
                f"{self.path}, {self.what} {number}: {wrong}.{others} --skip-bad (in Python "
                f"`skip_bad=True`) leaves such {self.what}s out and counts them."
            )

    def notes(self) -> tuple[str, ...]:
        """What a reader must know of what was left out."""
        if not self.bad:
            return ()
        number, wrong = self.bad[0]
        s = "s" if len(self.bad) > 1 else ""
        return (
            f"{len(self.bad):,} {self.what}{s} left out, the first of them {self.what} {number}: {wrong}",
        )


class OnlyOptions(FileByFile):
    """A format whose files of generated answers are left out, with the reason.

    `read` raises `OtherTypeError` of such a file.
    """

    leaves_out = (OtherTypeError,)
