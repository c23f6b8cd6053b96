"""The elements of a JSON list in a file, one by one, without the whole of it in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError

BLOCK = 1 << 20
HEAD = 1 << 16
_START = re.compile(rb"\s*\[(\r?\n {2,4}(?=\{))?")
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}"]', re.DOTALL)
_OPENING = b"[{"
SPACE = b" \t\r\n"
Element = tuple[int, bytes]
"""(byte at which it begins, its text)."""


def head_of(path: Path) -> bytes:
    """The first bytes of a file that begins as a JSON list does; b"" of any other."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return b""
    return head if _START.match(head) else b""


def elements(path: Path) -> Iterator[Element]:
    """Each object of a JSON list; of one that is cut off, last what is left of it.

    In a list that is indented, as `json.dumps(..., indent=2)` has it, an element that is no JSON
    leaves the others as they are.
    """
    match = _START.match(head_of(path))
    with path.open("rb") as file:
        if match is None:
            return
        if match[1]:
            yield from _indented(file, match[1])
        else:
            file.seek(match.end())
            yield from _compact(file, match.end())


def _indented(file: IO[bytes], indent: bytes) -> Iterator[Element]:
    """What begins after an element's indentation: no text within JSON may hold a line's end."""
    mark = indent + b"{"
    held, start, began = b"", 0, False  # bytes not given out, and where they begin
    for block in iter(lambda: file.read(BLOCK), b""):
        held += block
        *parts, rest = held.split(mark)
        for part in parts:
            if began:
                yield start - 1, b"{" + part.rstrip(SPACE).removesuffix(b",")
            began = True
            start += len(part) + len(mark)
        held = rest
    last = held.rstrip(SPACE)
    if not began:
        return
    closed = last.endswith(b"]") and last[:-1].rstrip(SPACE).endswith(b"}")
    if closed:
        yield start - 1, b"{" + last[:-1].rstrip(SPACE)
        return
    whole = last.removesuffix(b",").rstrip(SPACE)
    if whole != last or _is_json(b"{" + whole):  # cut off between two elements
        yield start - 1, b"{" + whole
        yield start + len(held), b"{"
    else:
        yield start - 1, b"{" + last


def _is_json(text: bytes) -> bool:
    try:
        json_text.loads(text)
    except json_text.InvalidJSONError:
        return False
    return True


def _compact(file: IO[bytes], start: int) -> Iterator[Element]:
    """What stands between a brace and its partner, in a list that is written in any way."""
    held, place, depth, began = b"", 0, 0, 0
    while True:
        block = file.read(max(BLOCK, len(held)))
        held += block
        for match in _TOKEN.finditer(held, place):
            place = match.start()
            token = match[0]
            if token == b'"':
                break  # a text that goes on in the next block
            place = match.end()
            if len(token) > 1:
                continue
            if token in _OPENING:
                began = match.start() if depth == 0 else began
                depth += 1
            elif depth == 0:
                yield from _behind(file, start + place, held[place:])
                return
            else:
                depth -= 1
                if depth == 0:
                    yield start + began, held[began:place]
        if not block:
            break
        keep = began if depth else place
        held, start, place, began = held[keep:], start + keep, place - keep, 0
    yield start + began, held[began:] if depth else b"{"  # cut off


def _behind(file: IO[bytes], start: int, held: bytes) -> Iterator[Element]:
    """What follows the end of the list, where nothing may: an element that is no JSON."""
    while held.isspace() or not held:
        start += len(held)
        held = file.read(BLOCK)
        if not held:
            return
    yield start, b'{"behind the end of the list"}'


def written_as_lines(source: Path, target: Path) -> None:
    """Write a list's elements as JSON lines.

    What is cut off has no line's end, as in a file of lines that is cut off.

    Raises:
        InvalidInputError: the file cannot be read.
    """
    try:
        with target.open("wb") as file:
            before = text = b""
            for _, text in elements(source):
                file.write(before + b" ".join(text.splitlines()))
                before = b"\n"
            if text.endswith(b"}"):
                file.write(before)
    except OSError as error:
        raise InvalidInputError(f"{source} cannot be read: {error}.") from None
