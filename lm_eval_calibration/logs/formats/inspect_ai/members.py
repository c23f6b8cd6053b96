"""Members of an `.eval` file: a zip, whose members are compressed as zip always was, or by Zstandard.

Python's `zipfile` knows Zstandard from 3.14 on; inspect_ai has used it since 2026.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.harness.bad import BadLineError

ZSTANDARD = 93
"""By number, in the zip format."""
LARGEST = 1 << 30
"""Bytes of a member; a larger one is no sample."""
_BEFORE_NAME = 30
"""Bytes of a member's own header, before its name and its extra field."""
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    ArithmeticError,
    LookupError,
)
"""What reading a damaged zip raises; `NotImplementedError` is a `RuntimeError`."""


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """An `.eval` file.

    Raises:
        InvalidInputError: it is no zip, or was cut off.
    """
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise InvalidInputError(
            f"{path} is no log of inspect_ai, or was cut off ({error}): copy it again."
        ) from None
    with archive:
        yield archive


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The bytes of a member.

    Raises:
        BadLineError: they are damaged, or more than any sample's.
    """
    if member.file_size > LARGEST:
        raise BadLineError(f"it has {member.file_size:,} bytes, more than any sample")
    try:
        if member.compress_type == ZSTANDARD:
            return _zstandard(archive, member)
        return archive.read(member)
    except BROKEN as error:
        raise BadLineError(f"it is damaged ({error})") from None


def _zstandard(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    import pyarrow

    file = archive.fp
    if file is None:
        raise ValueError("the file is closed")
    file.seek(member.header_offset)
    header = file.read(_BEFORE_NAME)
    if header[:4] != b"PK\3\4":
        raise ValueError("no member begins here")
    name, extra = struct.unpack("<HH", header[26:])
    file.seek(name + extra, 1)
    packed = pyarrow.BufferReader(file.read(member.compress_size))
    with pyarrow.CompressedInputStream(packed, "zstd") as stream:
        data: bytes = stream.read(member.file_size + 1)
    if len(data) != member.file_size or zlib.crc32(data) != member.CRC:
        raise ValueError("wrong length or check sum")
    return data
