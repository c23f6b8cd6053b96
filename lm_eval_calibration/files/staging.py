"""A hidden folder for what is not whole yet; what a kill leaves of it goes with the next writing."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from lm_eval_calibration.files.marks import KEY, stamped
from lm_eval_calibration.json_text import InvalidJSONError, read_object

PREFIX = ".lm-eval-calibration-"
NOTE = ".lm-eval-calibration.json"
"""In a folder of ours: what kind it is of."""
STAGE = "stage"
SECONDS = 60
"""So old is a folder without a note of which no process is about to write one."""

_cleared: set[Path] = set()


@contextlib.contextmanager
def staged(parent: Path) -> Iterator[Path]:
    """A folder in `parent`, for as long as the context lasts."""
    if (
        parent not in _cleared
    ):  # (once a process: folders of many parts would be read again and again)
        _cleared.add(parent)
        clear(parent)
    stage = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        owner = {"kind": STAGE, "host": platform.node(), "process": os.getpid()}
        (stage / NOTE).write_text(json.dumps(stamped(owner)), encoding="utf-8")
        yield stage
    finally:
        remove(stage)


def note(folder: Path) -> dict[str, object]:
    """What the note in a folder of ours says; nothing of any other folder."""
    try:
        told = read_object(folder / NOTE)
    except (OSError, InvalidJSONError):
        return {}
    return told if isinstance(told.get(KEY), str) else {}


def clear(parent: Path) -> None:
    """Remove the folders that processes of this machine left behind when they were killed."""
    for folder in parent.glob(f"{PREFIX}*"):
        if folder.is_symlink() or not folder.is_dir():
            continue
        told = note(folder)
        if told.get("kind") == STAGE:
            mine = told.get("host") == platform.node()
            if mine and not _lives(told.get("process")):
                remove(folder)
        else:
            _remove_begun(folder)


def empty(folder: Path) -> None:
    """Remove what a folder of ours holds; its note last, so that what a kill leaves is known as ours."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir(), key=lambda path: path.name == NOTE):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def remove(folder: Path) -> None:
    """Remove a folder of ours."""
    empty(folder)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _remove_begun(folder: Path) -> None:
    """Remove an old folder in which there is at most an empty note; one that holds more stays."""
    with contextlib.suppress(OSError):
        if time.time() - folder.stat().st_mtime <= SECONDS:
            return
        if os.listdir(folder) == [NOTE] and not (folder / NOTE).lstat().st_size:
            (folder / NOTE).unlink()
        folder.rmdir()


def _lives(process: object) -> bool:
    if not isinstance(process, int) or process < 1:
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
