"""JSON as models write it: in code fences, in prose, with single quotes, commented, cut off."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

Pairs = list[tuple[str, Any]]
"""An object's members in order, so that repeated keys are seen."""
LONGEST = 20_000
"""Characters of a reply that are looked at: its end, where an answer stands."""
_COMMENT = re.compile(r"(?m)(?<![:\"'\w])//[^\n]*$")
_TRAILING = re.compile(r",\s*([}\]])")


def objects(text: str) -> Iterator[tuple[Pairs, str]]:
    """(members, repair) of every object in a text that can be read, the last one first.

    A list of objects is an object whose only member, "", is the list. repair: what was unlike JSON,
    or "".
    """
    stripped = text.strip()
    if stripped.startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            yield [("", json.loads(stripped, object_pairs_hook=_Object))], ""
    spans = _spans(text)
    for start, end in sorted(spans, key=lambda span: (-span[1], span[0])):
        found = _parsed(text[start:end])
        if found is not None:
            whole = text.strip() == text[start:end]
            yield found[0], found[1] or ("" if whole else "text around the object")


def _spans(text: str) -> list[tuple[int, int]]:
    """Where balanced outermost braces begin and end, those inside quotes not counted."""
    spans, depth, start, quote = [], 0, 0, ""
    i = 0
    while i < len(text):
        char = text[i]
        if quote:
            if char == "\\":
                i += 1
            elif char == quote:
                quote = ""
        elif char == '"' and depth:
            quote = char
        elif char == "{":
            start = i if not depth else start
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if not depth:
                spans.append((start, i + 1))
        i += 1
    return spans


def _parsed(text: str) -> tuple[Pairs, str] | None:
    """An object's members: as JSON, as JSON with commas and comments, or as Python."""
    for repair, candidate in (
        ("", text),
        ("commas or comments", _TRAILING.sub(r"\1", _COMMENT.sub("", text))),
    ):
        try:
            found = json.loads(candidate, object_pairs_hook=_Object)
        except (ValueError, RecursionError):
            continue
        return found.pairs, repair
    return _python(_TRAILING.sub(r"\1", text))


class _Object(dict[str, Any]):
    """An object that remembers repeated keys."""

    def __init__(self, pairs: Pairs) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def _python(text: str) -> tuple[Pairs, str] | None:
    """A dictionary in Python's notation, with single quotes."""
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Dict):
            return None
        keys = [ast.literal_eval(key) for key in tree.keys if key is not None]
        values = [ast.literal_eval(value) for value in tree.values]
        pairs = [(str(key), value) for key, value in zip(keys, values, strict=True)]
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None  # (a number of over 4,300 digits is a ValueError of `str`)
    return pairs, "quotes that are not JSON's"
