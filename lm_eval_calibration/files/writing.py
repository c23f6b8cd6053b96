"""Files that are there whole or not at all, whatever stops their writing."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lm_eval_calibration._version import __version__
from lm_eval_calibration.errors import OutputError
from lm_eval_calibration.files.marks import JSON, KEY, TENSORS, FileFormat, stamped
from lm_eval_calibration.files.places import (
    Target,
    cannot,
    check_file,
    check_reachable,
    is_stdout,
    listed,
)
from lm_eval_calibration.files.staging import NOTE, staged


def write_whole(
    path: Path, write: Callable[[Path], object], kind: FileFormat, *, overwrite: bool = False
) -> None:
    """Have `write` make a file, and put it at `path` once it is on the disk.

    Readers see the old file or the new one. Of two writers the later wins. The folder is made;
    permissions are those of the file that is replaced, or of any new one.

    Args:
        path: of the file.
        write: called with another path to write to, of the same name.
        kind: what is written.
        overwrite: whether a file that is not ours may be replaced.

    Raises:
        OutputError: something else stands there, or the file cannot be written.
    """
    path = Path(path)
    target = check_file(path, kind, overwrite=overwrite)
    try:
        if target.stream:
            _pour(target, write)
            return
        with made(target.path.parent), staged(target.path.parent) as stage:
            partial = stage / target.path.name
            write(partial)
            like = target.path if target.path.exists() else stage / NOTE
            partial.chmod(stat.S_IMODE(like.stat().st_mode))
            with partial.open("rb+") as file:
                os.fsync(file.fileno())
            check_file(path, kind, overwrite=overwrite)  # (another may have been there since)
            os.replace(partial, target.path)
    except OSError as error:
        raise cannot(path, error) from error


def write_text(path: Path, text: str, kind: FileFormat, *, overwrite: bool = False) -> None:
    """Write text as UTF-8; what UTF-8 cannot hold becomes a question mark."""
    write_whole(
        path,
        lambda partial: partial.write_text(text, encoding="utf-8", errors="replace", newline=""),
        kind,
        overwrite=overwrite,
    )


def write_json(path: Path, value: dict[str, Any], *, overwrite: bool = False) -> None:
    """Write a JSON object, with our mark."""
    write_text(path, json.dumps(stamped(value), indent=2) + "\n", JSON, overwrite=overwrite)


def write_tensors(
    path: Path,
    save: Callable[..., None],
    tensors: Mapping[str, Any],
    about: Mapping[str, str] | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write tensors, with our mark in their metadata.

    Args:
        path: of the file.
        save: `save_file` of safetensors for their kind.
        tensors: by name.
        about: more metadata.
        overwrite: whether a file that is not ours may be replaced.

    Raises:
        OutputError: as `write_whole`.
    """
    metadata = {KEY: __version__, **(about or {})}

    def write(partial: Path) -> None:
        from safetensors import SafetensorError

        try:
            save(dict(tensors), partial, metadata)
        except SafetensorError as error:  # (which has no number of the system's)
            raise OSError(str(error)) from error
        _sort_metadata(partial)

    write_whole(path, write, TENSORS, overwrite=overwrite)


def _sort_metadata(path: Path) -> None:
    """Have the same tensors make the same bytes: safetensors writes metadata in no certain order."""
    with path.open("r+b") as file:
        size = int.from_bytes(file.read(8), "little")
        written = file.read(size)
        header = json.loads(written)
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        if len(text) <= size:
            file.seek(8)
            file.write(text.ljust(size))


def write_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Have `fill` make a folder, and put it at `path`, where there is none, once it is whole.

    Of two writers the earlier wins.

    Raises:
        OutputError: something stands there that is no folder or not empty, or it cannot be written.
    """
    try:
        if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
            there = (
                f"is not empty ({listed(path) or 'hidden files'})"
                if path.is_dir()
                else "is there already"
            )
            raise OutputError(f"`{path}` {there}. Name a new folder.")
        check_reachable(path)
        with made(path.parent), staged(path.parent) as stage:
            fill(stage / path.name)
            with contextlib.suppress(FileExistsError):
                os.replace(stage / path.name, path)
    except OSError as error:
        raise cannot(path, error) from error


@contextlib.contextmanager
def made(folder: Path) -> Iterator[None]:
    """Make a folder, and take it away again, if it is empty, when what comes next fails."""
    new = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for parent in new:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _pour(target: Target, write: Callable[[Path], object]) -> None:
    """Write a file elsewhere, and then what it holds to a pipe or a device."""
    with tempfile.TemporaryDirectory() as scratch:
        partial = Path(scratch) / (target.path.name or "file")
        write(partial)
        if is_stdout(os.stat(target.path)):
            sys.stdout.flush()
            with partial.open("rb") as source, open(1, "wb", closefd=False) as sink:
                shutil.copyfileobj(source, sink)
            return
        descriptor = os.open(target.path, os.O_WRONLY)
        with partial.open("rb") as source, open(descriptor, "wb") as sink:
            shutil.copyfileobj(source, sink)
