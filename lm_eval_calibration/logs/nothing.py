"""Why nothing can be read where logs were looked for: none are there, or files stand for others that are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError

_POINTER = b"version https://git-lfs.github.com/spec/"
_POINTER_SIZE = 1024
"""Bytes below which a file may be a pointer; git LFS writes no larger ones."""
_FORMATS = " `lm-calib formats` lists what is read."


class NoLogsError(InvalidInputError):
    """Nothing that any format knows.

    Attributes:
        path: the file or the folder that was named.
    """

    def __init__(self, path: Path, message: str) -> None:
        super().__init__(message)
        self.path = path


def no_logs(path: Path, every_format: bool) -> NoLogsError:
    """The error of a path that holds no logs.

    Args:
        path: a file or a folder that is there.
        every_format: whether logs of all formats were looked for, and not the harness's alone.
    """
    return NoLogsError(path, f"{path} {_why(path)}{_FORMATS if every_format else ''}")


def nothing_in(left_out: Sequence[str]) -> InvalidInputError:
    """The error of logs in which there is nothing to read, with the reasons."""
    return InvalidInputError("Nothing can be read. " + " ".join(left_out))


def _why(path: Path) -> str:
    if not path.is_dir():
        return "is no log, and no folder of logs."
    results = next(path.rglob("results_*.json"), None)
    if results is not None:
        return (
            f"holds figures of runs ({results.name}) and no samples_<task>_<date>.jsonl: these come "
            "from `lm_eval --log_samples`, without which no document was kept. Run it again with that."
        )
    return (
        "holds no logs, such as the samples_<task>_<date>.jsonl of `lm_eval --log_samples "
        "--output_path DIR`."
    )


def check_whole(path: Path) -> None:
    """Refuse the pointer that git LFS leaves in the place of a file that was not downloaded.

    Raises:
        InvalidInputError: the file is one.
    """
    if not path.is_file() or path.stat().st_size > _POINTER_SIZE:
        return
    with path.open("rb") as file:
        if file.read(len(_POINTER)) != _POINTER:
            return
    raise InvalidInputError(
        f"{path} is a pointer of git LFS: it stands for a file that was not downloaded. Run `git lfs "
        "pull` in its repository, or download the file itself."
    )
