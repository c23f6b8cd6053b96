"""How a file of ours is known: by a mark that stands in it, whatever it is called."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration._version import __version__
from lm_eval_calibration.json_text import InvalidJSONError, loads

NAME = "lm-eval-calibration"
KEY = "lm_eval_calibration"
"""The field of JSON, and of the metadata of tensors, that holds the version they were written by."""
HEAD = 1 << 16
"""Bytes at the beginning of a file among which its mark stands."""
LONGEST = 1 << 27
"""Bytes of JSON that are read to find the mark."""


class FileFormat(NamedTuple):
    """A kind of file that this package writes.

    what: in words. ours: whether a file that can be read holds our mark.
    """

    what: str
    ours: Callable[[Path], bool]


def stamped(value: dict[str, Any]) -> dict[str, Any]:
    """A JSON object with our mark, which comes first."""
    return {KEY: __version__, **value}


def beside(name: str, other: FileFormat) -> FileFormat:
    """A file in a format of somebody else's, without room for a mark: ours if one beside it is."""

    def ours(path: Path) -> bool:
        companion = path.with_name(name)
        return companion.is_file() and other.ours(companion)

    return FileFormat(f"a file that belongs to {name}", ours)


def _head(path: Path, size: int = HEAD) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _matches(pattern: bytes) -> Callable[[Path], bool]:
    compiled = re.compile(pattern)
    return lambda path: compiled.search(_head(path)) is not None


def _holds_key(text: bytes) -> bool:
    try:
        found = loads(text)
    except InvalidJSONError:
        return False
    return isinstance(found, dict) and isinstance(found.get(KEY), str)


def _json(path: Path) -> bool:
    return path.stat().st_size <= LONGEST and _holds_key(path.read_bytes())


def _json_lines(path: Path) -> bool:
    with path.open("rb") as file:
        return _holds_key(file.readline(LONGEST))


def _tensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else LONGEST + 1
        if size > LONGEST:
            return False
        try:
            header = loads(file.read(size))
        except InvalidJSONError:
            return False
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    return isinstance(metadata, dict) and KEY in metadata


def _pdf(path: Path) -> bool:
    return path.stat().st_size <= LONGEST and b"/Creator (lm-eval-calibration)" in path.read_bytes()


JSON = FileFormat("JSON", _json)
JSON_LINES = FileFormat("JSON lines", _json_lines)
TENSORS = FileFormat("tensors", _tensors)
PAGE = FileFormat(
    "a report", _matches(rb'<meta name="generator" content="lm-eval-calibration [^"<>]*">')
)
MODEL_CARD = FileFormat(
    "a model card", _matches(rb"\A---\r?\nlibrary_name: lm-eval-calibration\r?\n")
)
RECORD = FileFormat(
    "a record of Every Eval Ever", _matches(rb'"made_by": "lm-eval-calibration [^"]*"')
)
SVG = FileFormat("a figure", _matches(rb'\A<svg [^>]*data-generator="lm-eval-calibration"'))
PNG = FileFormat("a figure", _matches(rb"\A\x89PNG[\s\S]*tEXtSoftware\x00lm-eval-calibration"))
PDF = FileFormat("a figure", _pdf)
