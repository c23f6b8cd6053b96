"""What a user's paths mean: files and folders, patterns of both, and labels before them."""

from __future__ import annotations

import glob
import os
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError


def labelled(argument: str) -> tuple[str, str]:
    """`label=path` taken apart; a path that exists under the whole name is a path."""
    label, equals, path = argument.partition("=")
    if not equals or not label or "/" in label or os.path.exists(argument):
        return "", argument
    return label, path


def expanded(path: str) -> tuple[list[Path], bool]:
    """The files and folders that an argument stands for, and whether it is a pattern of them.

    Raises:
        InvalidInputError: nothing is there, or nothing matches.
    """
    if os.path.exists(path):
        return [Path(path)], False
    if not glob.has_magic(path):
        raise InvalidInputError(f"{path} does not exist.")
    matches = sorted(glob.glob(path, recursive=True))
    if not matches:
        raise InvalidInputError(f"Nothing matches {path}.")
    return [Path(match) for match in matches], True
