"""Logs at an address: `hf://`, `https://`, `s3://` and whatever else fsspec opens, copied here first."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.packed import (
    LOGS,
    PIECE,
    Step,
    is_archive,
    is_compressed,
    new_folder,
)
from lm_eval_calibration.redact import redact

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
HOW_ELSE = {
    "hf": "`hf download --repo-type dataset OWNER/NAME --local-dir logs`",
    "https": "`curl -LO ADDRESS`",
    "http": "`curl -LO ADDRESS`",
    "s3": "`aws s3 cp --recursive ADDRESS logs`",
    "gs": "`gcloud storage cp -r ADDRESS logs`",
}
"""How to download what cannot be reached from here."""


def is_address(argument: str) -> bool:
    """Whether an argument is an address and no path.

    >>> is_address("hf://datasets/a/b"), is_address("runs/hf"), is_address("C:/runs")
    (True, False, False)
    """
    return _ADDRESS.match(argument) is not None


def fetched(address: str, step: Step | None = None) -> Path:
    """The folder, or the file, at an address, once its logs have been copied here.

    Args:
        address: of a file, of a folder, or a pattern of files.
        step: called with the number of bytes copied since the last call.

    Raises:
        InvalidInputError: it cannot be reached, or there is nothing; the message says how to go on.
    """
    scheme = address.partition("://")[0].lower()
    try:
        return _fetched(address, step)
    except ImportError as error:
        raise InvalidInputError(
            f"{_shown(address)} cannot be opened: {error}. Install that, or {_otherwise(scheme)}."
        ) from None
    except InvalidInputError:
        raise
    except Exception as error:  # noqa: BLE001 - of whatever kind a file system raises
        why = redact(str(error)) or type(error).__name__
        raise InvalidInputError(
            f"{_shown(address)} cannot be reached ({why[:300]}). Look whether it is right, or "
            f"{_otherwise(scheme)}."
        ) from None


def _fetched(address: str, step: Step | None) -> Path:
    from fsspec.core import url_to_fs

    fs, path = url_to_fs(address)
    files, root = _files(fs, path)
    if not files:
        raise InvalidInputError(f"{_shown(address)}: no file there can be a log.")
    whole = _shown(address).rstrip("/")
    folder = new_folder(whole.rpartition("/")[0])
    last = PurePosixPath(root).name or scheme_name(address)
    target = folder / last
    for file in files:
        inside = file[len(root) :].lstrip("/") if file != root else ""
        place = target / inside if inside else target
        place.parent.mkdir(parents=True, exist_ok=True)
        with fs.open(file, "rb") as source, place.open("wb") as copy:
            while piece := source.read(PIECE):
                copy.write(piece)
                if step is not None:
                    step(len(piece))
    return target


def _files(fs: Any, path: str) -> tuple[list[str], str]:
    """The logs at a path, and the folder, or the file, that was named."""
    if any(sign in path for sign in "*?["):
        root = path[: re.search(r"[*?\[]", path).start()].rpartition("/")[0]  # type: ignore[union-attr]
        found = [file for file in fs.glob(path) if fs.isfile(file)]
        return sorted(filter(_may_be_log, found)), root
    if fs.isfile(path) and not fs.isdir(path):
        return [path], path
    if not fs.exists(path):
        raise FileNotFoundError("nothing is there")
    return sorted(filter(_may_be_log, fs.find(path))), path.rstrip("/")


def _may_be_log(name: str) -> bool:
    return name.lower().endswith(LOGS) or is_archive(name) or is_compressed(name)


def scheme_name(address: str) -> str:
    """A name for what an address without a path holds."""
    return re.sub(r"\W+", "_", address.partition("://")[2]) or "logs"


def _otherwise(scheme: str) -> str:
    how = HOW_ELSE.get(scheme)
    return f"download it ({how}) and name the folder" if how else "copy it here and name the folder"


def _shown(address: str) -> str:
    return redact(address)
