"""Archives and compressed files of logs, unpacked into a folder that is gone when the process ends."""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.nothing import check_whole

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.zst", ".tzst")
COMPRESSED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Endings of single compressed files, with what pyarrow calls them."""
LOGS = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".eval")
"""Endings of what a log may be; all else in an archive (weights, images) stays packed."""
PIECE = 1 << 20
SPARE = 256 << 20
"""Bytes of the disk that are left free."""
Step = Callable[[int], None]

_ROOTS: dict[str, str] = {}
"""Where things were unpacked, and what they were unpacked from."""


def is_archive(name: str) -> bool:
    """Whether a file's name is that of an archive."""
    return name.lower().endswith(ARCHIVES)


def is_compressed(name: str) -> bool:
    """Whether a file's name is that of a compressed log, e.g. `samples_t_2026-01-01T00-00-00.jsonl.gz`."""
    stem, ending = os.path.splitext(name.lower())
    return ending in COMPRESSED and stem.endswith(LOGS)


def new_folder(given: str) -> Path:
    """An empty folder of this process, for what is unpacked from somewhere."""
    folder = Path(tempfile.mkdtemp(prefix="lm-calib-"))
    weakref.finalize(_ROOTS_OWNER, shutil.rmtree, folder, ignore_errors=True)
    _ROOTS[str(folder)] = given
    return folder


def as_given(text: str) -> str:
    """A text in which what was unpacked is called by what it was unpacked from."""
    for root, given in reversed(_ROOTS.items()):  # (what was unpacked may lie in what was copied)
        text = text.replace(root, given)
    return text


def unpacked(path: Path, step: Step | None = None, into: Path | None = None) -> Path:
    """The folder, or the file, that an archive or a compressed file holds.

    Args:
        path: of it.
        step: called with the number of its bytes read since the last call.
        into: the folder in which it is to lie; a new one by default.

    Raises:
        InvalidInputError: it is damaged or cut off, or the disk has no room for it.
    """
    check_whole(path)
    target = (into or new_folder(str(path.parent))) / path.name
    try:
        if path.name.lower().endswith(".zip"):
            _unzip(path, target, step)
        elif is_archive(path.name):
            _untar(path, target, step)
        else:
            target = target.with_suffix("")
            with _opened(path, step) as stream:
                _copy(stream, target)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        EOFError,
        OSError,
        zlib.error,
        RuntimeError,
    ) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InvalidInputError(
            f"{path} cannot be unpacked ({error}): is it whole? Download or copy it again."
        ) from None
    return target


def mirrored(folder: Path, step: Step | None = None) -> Path:
    """A folder as if what is packed in it were not: the same names, with links to what is plain."""
    files = list(_files(folder))
    packed = {p for p in files if is_archive(p.name) or is_compressed(p.name)}
    if not packed:
        return folder
    plain = set(files) - packed
    root = new_folder(str(folder.resolve().parent))
    mirror = root / folder.resolve().name
    for path in files:
        place = mirror / path.relative_to(folder)
        if path in plain:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(path.resolve())
            continue
        if is_archive(path.name) or path.with_suffix("") not in plain:  # (both may lie there)
            place.parent.mkdir(parents=True, exist_ok=True)
            unpacked(path, step, place.parent)
    return mirror


def _files(folder: Path) -> Iterator[Path]:
    for here, _, names in os.walk(folder):
        yield from (Path(here) / name for name in sorted(names))


def _unzip(path: Path, target: Path, step: Step | None) -> None:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            place = _place(target, member.filename)
            if place is None or member.is_dir():
                continue
            with archive.open(member) as stream:
                _kept(stream, place)
            if step is not None:
                step(member.compress_size)
    target.mkdir(exist_ok=True)


def _untar(path: Path, target: Path, step: Step | None) -> None:
    with _opened(path, step) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            place = _place(target, member.name)
            inside = archive.extractfile(member) if place is not None and member.isfile() else None
            if inside is not None and place is not None:
                _kept(inside, place)
    target.mkdir(exist_ok=True)


def _kept(stream: Any, place: Path) -> None:
    """A member of an archive, unpacked where it is compressed itself."""
    _copy(stream, place)
    if is_compressed(place.name):
        unpacked(place, into=place.parent)
        place.unlink()


def _place(target: Path, name: str) -> Path | None:
    """Where a member of an archive goes; `None` for what is no log, or would go elsewhere."""
    parts = [
        part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", ".")
    ]
    drive = parts[0][1:2] == ":" if parts else False  # (other names of runs hold colons)
    if not parts or ".." in parts or drive or parts[-1].startswith("._"):
        return None
    whole = is_compressed(parts[-1]) or parts[-1].lower().endswith(LOGS)
    if not whole:
        return None
    place = target.joinpath(*parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


@contextmanager
def _opened(path: Path, step: Step | None) -> Iterator[IO[bytes]]:
    """The bytes of a compressed file, or of a plain one."""
    import pyarrow

    endings = {".tgz": ".gz", ".tzst": ".zst"}
    ending = path.suffix.lower()
    how = COMPRESSED.get(endings.get(ending, ending))
    with path.open("rb") as raw:
        counted = _Counted(raw, step)
        if how is None:
            yield counted  # type: ignore[misc]
            return
        source = pyarrow.PythonFile(counted, mode="r")
        with pyarrow.CompressedInputStream(source, how) as stream:
            yield stream


class _Counted:
    """A file that tells how much of it was read."""

    closed = False

    def __init__(self, raw: IO[bytes], step: Step | None) -> None:
        self._raw, self._step = raw, step

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        found = self._raw.read(size)
        if self._step is not None:
            self._step(len(found))
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


def _copy(stream: Any, place: Path) -> None:
    """Write a stream, as long as the disk has room.

    Raises:
        InvalidInputError: it has none.
    """
    with place.open("wb") as file:
        count = 0
        while piece := stream.read(PIECE):
            if count % 64 == 0 and shutil.disk_usage(place.parent).free < SPARE + 64 * PIECE:
                raise InvalidInputError(
                    f"{as_given(str(place))} does not fit on the disk of {tempfile.gettempdir()} when "
                    "unpacked. Set TMPDIR to a folder with more room, or name fewer runs."
                )
            file.write(piece)
            count += 1


class _Owner:
    """Lives as long as the process."""


_ROOTS_OWNER = _Owner()
