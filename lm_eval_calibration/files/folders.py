"""Folders that hold what was fitted: claimed by a note, and never taken from anybody else."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from lm_eval_calibration.errors import OutputError
from lm_eval_calibration.files.marks import JSON, KEY, FileFormat
from lm_eval_calibration.files.places import cannot, check_file, check_reachable, listed
from lm_eval_calibration.files.staging import NOTE, PREFIX, clear, empty, note, remove, staged
from lm_eval_calibration.files.writing import write_json
from lm_eval_calibration.json_text import InvalidJSONError, read_object

ABOUT = ("config.json", "swag.json", "members.json")
"""Files whose `method` tells the kind of a folder of ours, where a copy has lost the note."""
WORK = "work"
Files = Mapping[str, FileFormat]


def check_folder(
    path: str | Path,
    kind: str,
    files: Files | None = None,
    *,
    overwrite: bool = False,
    work: str = "",
) -> None:
    """Make sure, before any work, that a folder can take what is fitted.

    Args:
        path: of the folder.
        kind: what will stand there, e.g. `temperature`.
        files: names and formats of what will be written into it.
        overwrite: whether a folder of ours of another kind will do, and files in it may be replaced.
        work: name of a folder in it for what is removed when the work is done.

    Raises:
        OutputError: the folder holds something else, or cannot be written to.
    """
    folder = Path(path)
    try:
        try:
            found = folder.stat()
        except FileNotFoundError:
            check_reachable(Path(os.path.realpath(folder)))
            return
        if not stat.S_ISDIR(found.st_mode):
            raise OutputError(f"`{folder}` is a file, where a folder is to be. Name a folder.")
        _check_kind(folder, kind, overwrite)
        check_file(folder / NOTE, JSON)
    except (OSError, ValueError) as error:
        raise cannot(folder, error) from error
    for name, format_ in (files or {}).items():
        check_file(folder / name, format_, overwrite=overwrite)
    if work:
        check_folder(folder / work, WORK)


def claim_folder(
    path: str | Path,
    kind: str,
    files: Files | None = None,
    *,
    overwrite: bool = False,
    work: str = "",
) -> Path:
    """Make the folder, and note in it what it holds; a work folder that a kill left is gone on with.

    Raises:
        OutputError: as `check_folder`.
    """
    check_folder(path, kind, files, overwrite=overwrite, work=work)
    folder = Path(path)
    if note(folder).get("kind") != kind:
        write_json(folder / NOTE, {"kind": kind})
    if work:
        was_there = (folder / work).is_dir() and not note(folder / work)
        claim_folder(folder / work, WORK)
        if was_there:  # (empty, and somebody's)
            write_json(folder / work / NOTE, {"kind": WORK, "was_there": True})
    return folder


def remove_work(path: Path) -> None:
    """Remove a folder that was claimed as `work`, and no other; a kill leaves all of it or nothing."""
    clear(path.parent)
    told = note(path)
    if path.is_symlink() or told.get("kind") != WORK:
        return
    if told.get("was_there"):
        empty(path)
        return
    with contextlib.suppress(OSError), staged(path.parent) as stage:
        path.rename(stage / path.name)
    remove(path)  # (a mounted one cannot be renamed)


def _check_kind(folder: Path, kind: str, overwrite: bool) -> None:
    there, found = listed(folder), kind_of(folder)
    if kind == WORK and found is None:  # (all of it will be removed, hidden files too)
        there = ", ".join(sorted(n for n in os.listdir(folder) if not n.startswith(PREFIX))[:3])
    if not there:
        return
    if found is None:
        raise OutputError(
            f"`{folder}` is not empty ({there}), and was not made by lm-eval-calibration. Name a new "
            "folder."
        )
    if found != kind and not (overwrite and found != WORK):
        raise OutputError(
            f"`{folder}` is the folder of `{found}`, not of `{kind}`. Name another folder, or replace it with "
            "--overwrite."
        )


def kind_of(folder: Path) -> str | None:
    """Of what a folder of ours is; `None` of any other."""
    told = note(folder).get("kind")
    for name in ABOUT if told is None else ():
        try:
            about = read_object(folder / name)
        except (OSError, InvalidJSONError):
            continue
        if isinstance(about.get(KEY), str):
            told = about.get("method")
    return told if isinstance(told, str) else None
