"""What a user's arguments mean: files, folders, archives, addresses, patterns, and labels before them."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.nothing import check_whole
from lm_eval_calibration.logs.packed import Step, is_archive, is_compressed, mirrored, unpacked
from lm_eval_calibration.logs.remote import fetched, is_address


def labelled(argument: str) -> tuple[str, str]:
    """`label=path` taken apart; a path that exists under the whole name is a path."""
    label, equals, path = argument.partition("=")
    if not equals or not label or os.path.exists(argument):
        return "", argument
    if "/" in label and not (os.path.exists(path) or is_address(path) or glob.has_magic(path)):
        return "", argument  # (a path that has such a sign in it)
    return label, path


def expanded(path: str, step: Step | None = None) -> tuple[list[Path], bool]:
    """The files and folders that an argument stands for, and whether it is a pattern of them.

    What is packed is unpacked, and what is elsewhere is copied here, for as long as the process
    lasts; `packed.as_given` calls it by its own name.

    Args:
        path: of a file, a folder or an archive; an address; or a pattern.
        step: called with the number of bytes unpacked or copied since the last call.

    Raises:
        InvalidInputError: nothing is there, or nothing matches; it cannot be reached or unpacked.
    """
    if is_address(path):
        return [_plain(fetched(path, step), step)], False
    if os.path.exists(path):
        return [_plain(Path(path), step)], False
    if not glob.has_magic(path):
        raise InvalidInputError(f"{path} does not exist.")
    matches = sorted(glob.glob(path, recursive=True))
    if not matches:
        raise InvalidInputError(f"Nothing matches {path}.")
    return [_plain(Path(match), step) for match in matches], True


def _plain(path: Path, step: Step | None) -> Path:
    """A path as if nothing there were packed."""
    if path.is_dir():
        return mirrored(path, step)
    check_whole(path)
    if is_archive(path.name) or is_compressed(path.name):
        return unpacked(path, step)
    return path
