"""JSON that somebody else wrote, read so that it either is a value or one of our errors."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval_calibration.errors import InvalidInputError


class InvalidJSONError(InvalidInputError):
    """A text that is no JSON, or JSON that no program of ours can hold."""


def loads(text: str | bytes) -> Any:
    """The value that a JSON text stands for.

    Raises:
        InvalidJSONError: not JSON, not UTF-8, nested deeper or with longer numbers than Python reads.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise InvalidJSONError("JSON nested deeper than any that is written for use") from None
    except ValueError as error:  # of its syntax, its encoding, and of numbers of over 4,300 digits
        raise InvalidJSONError(f"not JSON ({error})") from None


def part(found: Any, key: str) -> Mapping[str, Any]:
    """The object under a key of an object; empty where there is none, or something else."""
    inner = found.get(key) if isinstance(found, Mapping) else None
    return inner if isinstance(inner, Mapping) else {}


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InvalidJSONError: it holds something else, or is a pipe or a device; the message names it.
        OSError: it cannot be read.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise InvalidJSONError(f"`{path}` is no file")
    try:
        found = loads(path.read_bytes())
    except InvalidJSONError as error:
        raise InvalidJSONError(f"`{path}`: {error}") from None
    if not isinstance(found, dict):
        raise InvalidJSONError(f"`{path}` holds a JSON {type(found).__name__}, not an object")
    return found
