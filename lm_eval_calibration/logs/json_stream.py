"""JSON files of any size, read value by value: the fields of an object, and the items of its lists.

Memory is bounded by the largest value that is yielded, not by the file.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from lm_eval_calibration.errors import InvalidInputError

PIECE = 1 << 20
"""Bytes read at a time."""
LARGEST = 1 << 29
"""Characters of one value; a longer one is no document."""
_NEAR = 16
"""Characters before the end at which an error may come from the end alone: `-Infinit`, `\\ud83d\\ude0`."""
_SPACE = re.compile(r"[ \t\r\n]*")


class Value(NamedTuple):
    """One value.

    Attributes:
        field: of the object whose value it is, or in whose list it stands; "" in a list of its own.
        value: it, as `json` has it.
        start: the byte at which it begins.
    """

    field: str
    value: Any
    start: int


class BrokenJSONError(InvalidInputError):
    """What follows in the file cannot be read; all values before it were yielded."""


def values(path: Path, *listed: str) -> Iterator[Value]:
    """The values of a file that holds an object or a list.

    Args:
        path: of it.
        listed: fields of the object of whose lists every item is a value.

    Raises:
        BrokenJSONError: it is cut off, no JSON, or neither object nor list; with file and byte.
    """
    with path.open("rb") as file:
        yield from _Reader(file, path).values(listed)


def value_at(path: Path, start: int) -> Any:
    """The value that begins at a byte, as `Value.start` has it.

    Raises:
        InvalidInputError: the file is gone, or holds none there.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            return _Reader(file, path, start).one()
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"{path} cannot be read again: {error}.") from None


class _Reader:
    """Text ahead of the place in a file, more of it as it is needed."""

    def __init__(self, file: IO[bytes], path: Path, start: int = 0) -> None:
        self._file, self._path = file, path
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogatepass").decode
        self._json = json.JSONDecoder()
        self._text, self._place, self._ended = "", 0, False
        self._bytes = start  # of the file, at `_place`
        self._piece = PIECE

    def values(self, listed: tuple[str, ...]) -> Iterator[Value]:
        first = self._sign("{[", "an object or a list")
        if first == "[":
            yield from self._items("")
        else:
            yield from self._fields(listed)
        self._skip()
        if self._place < len(self._text):
            raise self._broken("more follows after its end")

    def _fields(self, listed: tuple[str, ...]) -> Iterator[Value]:
        if self._peek() == "}":
            self._sign("}", "")
            return
        while True:
            name = self.one()
            if not isinstance(name, str):
                raise self._broken("a field has no name")
            self._sign(":", "a colon")
            if name in listed and self._peek() == "[":
                self._sign("[", "")
                yield from self._items(name)
            else:
                start = self._here()
                yield Value(name, self.one(), start)
            if self._sign(",}", "a comma") == "}":
                return

    def _items(self, field: str) -> Iterator[Value]:
        if self._peek() == "]":
            self._sign("]", "")
            return
        while True:
            start = self._here()
            yield Value(field, self.one(), start)
            if self._sign(",]", "a comma") == "]":
                return

    def one(self) -> Any:
        """The value that comes next."""
        self._skip()
        while True:
            try:
                found, end = self._json.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                cut = error.pos >= len(self._text) - _NEAR or error.msg.startswith("Unterminated")
                if self._ended or not cut:
                    raise self._broken(self._why(error)) from None
            except RecursionError:
                raise self._broken("nested deeper than any that is written for use") from None
            except ValueError as error:  # (a number of over 4,300 digits)
                raise self._broken(str(error)) from None
            else:
                whole = not isinstance(found, (int, float)) or end < len(self._text) - _NEAR
                if whole or self._ended:  # (else a number may go on: `1`, `.5e-7`)
                    self._move(end)
                    return found
            self._more()

    def _why(self, error: json.JSONDecodeError) -> str:
        if self._ended and (
            error.pos >= len(self._text) - _NEAR or error.msg.startswith("Unterminated")
        ):
            return "the file is cut off"
        return f"not JSON ({error.msg})"

    def _sign(self, wanted: str, name: str) -> str:
        found = self._peek()
        if not found:
            raise self._broken("the file is cut off" if self._bytes else "the file is empty")
        if found not in wanted:
            raise self._broken(f"not JSON (expecting {name})")
        self._move(self._place + 1)
        return found

    def _peek(self) -> str:
        self._skip()
        return self._text[self._place : self._place + 1]

    def _here(self) -> int:
        self._skip()
        return self._bytes

    def _skip(self) -> None:
        """Go to what is no white space."""
        while True:
            match = _SPACE.match(self._text, self._place)
            self._move(match.end() if match else self._place)
            if self._place < len(self._text) or self._ended:
                return
            self._more()

    def _move(self, place: int) -> None:
        passed = self._text[self._place : place]
        self._bytes += len(passed) if passed.isascii() else len(_encoded(passed))
        self._place = place

    def _more(self) -> None:
        """Read on: twice as much where the last piece did not hold a value."""
        unread = len(self._text) - self._place
        if unread > LARGEST:
            raise self._broken(f"a value of more than {LARGEST:,} characters")
        self._piece = max(PIECE, unread)
        piece = self._file.read(self._piece)
        self._ended = not piece
        try:
            text = self._decode(piece, self._ended)
        except UnicodeDecodeError as error:
            raise self._broken(f"not UTF-8 ({error.reason})") from None
        self._text, self._place = self._text[self._place :] + text, 0

    def _broken(self, why: str) -> BrokenJSONError:
        return BrokenJSONError(f"{self._path}, byte {self._bytes:,}: {why}")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
