"""Files that are there whole or not at all, whatever stops their writing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` make a file beside `path`, and put it there once it is on the disk.

    Readers see the old file or the new one. Of two writers the later wins. The folder is made;
    permissions are those of any new file.

    Args:
        path: the file.
        write: called with the name to write to. It ends in `.part`: what a kill leaves behind is
            never taken for a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        partial.touch(exist_ok=False)
        mode = partial.stat().st_mode
        write(partial)
        partial.chmod(mode)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8; what UTF-8 cannot hold becomes a question mark."""
    write_whole(path, lambda partial: partial.write_text(text, encoding="utf-8", errors="replace"))
