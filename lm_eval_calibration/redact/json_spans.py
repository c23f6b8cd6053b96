"""JSON texts without their secrets, and with every other character as it was."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from lm_eval_calibration.redact.texts import REDACTED

if TYPE_CHECKING:
    from lm_eval_calibration.redact.redactor import Redactor, SecretPlace

_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<string>"[^"\\]*(?:\\.[^"\\]*)*")
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)
    | (?P<mark>[\[\]{}:,])
    | (?P<word>true|false|null|NaN|Infinity|-Infinity)
    | (?P<end>\Z))""",
    re.VERBOSE | re.DOTALL,
)
_LONGEST_NUMBER = 400


class NotJSON(ValueError):  # noqa: N818
    """A text that is not JSON after all."""


class _Level(NamedTuple):
    """An object or list that has begun: its place, and whether names are expected in it."""

    place: SecretPlace
    is_object: bool


def without_secrets(
    text: str, redactor: Redactor, place: SecretPlace | None = None, depth: int = 0
) -> str:
    """The text with its secret strings and numbers replaced, character by character the same else.

    Args:
        text: one JSON value, however deep.
        redactor: knows what is secret.
        place: of the value.
        depth: of texts in texts.

    Raises:
        NotJSON: it is none.
    """
    from lm_eval_calibration.redact.redactor import SecretPlace as _Place

    here: SecretPlace = place or _Place()
    levels: list[_Level] = []
    pieces: list[str] = []
    position, name_next = 0, False
    while True:
        match = _TOKEN.match(text, position)
        if match is None:
            raise NotJSON
        kind, start = match.lastgroup, match.start(match.lastgroup or 0)
        token = match[kind or 0]
        new = token
        if kind == "end":
            break
        if kind == "mark":
            if token in "{[":
                levels.append(_Level(here, token == "{"))
                name_next = token == "{"
            elif token in "}]":
                if not levels:
                    raise NotJSON
                here = levels.pop().place
                name_next = False
            elif token == ",":
                if not levels:
                    raise NotJSON
                here, name_next = levels[-1].place, levels[-1].is_object
            else:
                name_next = False
        elif kind == "string" and name_next:
            name = _string(token)
            shown = redactor.text(name, here.data, depth)
            new = _spelt(token, name, shown)
            here = levels[-1].place.under(shown)
        elif kind == "string":
            value = _string(token)
            new = _spelt(token, value, redactor.leaf(value, here, depth))
        elif kind == "number" and here.grade and len(token) <= _LONGEST_NUMBER:
            number = float(token) if re.search("[.eE]", token) else int(token)
            new = token if redactor.leaf(number, here) != REDACTED else json.dumps(REDACTED)
        pieces += [text[position:start], new]
        position = match.end()
    if levels:
        raise NotJSON
    return "".join([*pieces, text[position:]])


def _string(token: str) -> str:
    try:
        return str(json.loads(token, strict=False))
    except ValueError:
        raise NotJSON from None


def _spelt(token: str, before: str, after: str) -> str:
    """A string's token, as it was if nothing was taken out; else in the same alphabet."""
    return token if after == before else json.dumps(after, ensure_ascii=token.isascii())
