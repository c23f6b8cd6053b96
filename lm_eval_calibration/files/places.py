"""What stands where something is to be written, and whether it may be."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from lm_eval_calibration.errors import OutputError
from lm_eval_calibration.files.marks import FileFormat

LONGEST_NAME = 255
"""Bytes of a name that file systems take."""
_LOG = re.compile(r"(?:samples_.+|results)_\d{4}-\d\d-\d\dT[\d.:-]+\.jsonl?")
"""What no option replaces: the harness made it, at a cost."""


class Target(NamedTuple):
    """Where to write: `path` with its links followed, and whether it is a stream."""

    path: Path
    stream: bool


def check_file(path: str | Path, kind: FileFormat, *, overwrite: bool = False) -> Target:
    """Make sure, before any work, that a file can be written.

    Args:
        path: of the file.
        kind: what will be written.
        overwrite: whether a file that is not ours may be replaced.

    Returns:
        Where to write.

    Raises:
        OutputError: something else stands there, or the place cannot be written to.
    """
    path = Path(path)
    try:
        return _judged(path, kind, overwrite)
    except (OSError, ValueError) as error:
        raise cannot(path, error) from error


def is_stream(path: str | Path) -> bool:
    """Whether what is written there goes on to a reader: a pipe, a device, or standard output."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(found.st_mode) or stat.S_ISCHR(found.st_mode) or is_stdout(found)


def is_stdout(found: os.stat_result) -> bool:
    """Whether it is what standard output leads to."""
    try:
        return os.path.samestat(found, os.fstat(1))
    except OSError:
        return False


def cannot(path: Path, error: OSError | ValueError) -> OutputError:
    """The one line about a place that cannot be written to."""
    if isinstance(error, OutputError):
        return error
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return OutputError(f"`{path}` cannot be written: {reason}. Name another place.")


def check_reachable(path: Path) -> None:
    """Make sure that a new entry can be made at `path`, where nothing stands.

    Raises:
        OSError: its folder, or the nearest that there is above it, takes no new entries.
    """
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    for folder in path.parents:
        if folder.is_dir():
            with tempfile.TemporaryFile(dir=folder):
                return
        if os.path.lexists(folder):
            raise OutputError(f"`{path}` cannot be written: `{folder}` is no folder.")


def listed(folder: Path, most: int = 3) -> str:
    """Some of the names in a folder, for messages."""
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _judged(path: Path, kind: FileFormat, overwrite: bool) -> Target:
    real = Path(os.path.realpath(path))
    try:
        found = os.stat(path)
    except FileNotFoundError:
        check_reachable(real)
        return Target(real, stream=False)
    if is_stream(path):
        return Target(path, stream=True)
    if stat.S_ISDIR(found.st_mode):
        raise OutputError(
            f"`{path}` is a folder, where a file is to be written. Name a file in it."
        )
    if not stat.S_ISREG(found.st_mode):
        raise OutputError(f"`{path}` is a block device or a socket, which nothing is written to.")
    if overwrite and _LOG.fullmatch(real.name):
        raise OutputError(f"`{path}` is a log of the harness, which stays. Name another file.")
    if found.st_size and not overwrite and not kind.ours(real):
        raise OutputError(
            f"`{path}` is there already, and is not {kind.what} of lm-eval-calibration. Name another "
            "file, or replace it with --overwrite."
        )
    if not os.access(real, os.W_OK):
        raise OutputError(f"`{path}` is read-only. Name another file, or make it writable.")
    check_reachable(real)
    return Target(real, stream=False)
