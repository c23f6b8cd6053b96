"""Names: a twin's and its task's, models', and those that become files'."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PREFIX = "calib_"
"""`calib_<task>` is the twin of `<task>`."""


def upstream_name(task: str) -> str:
    """The harness's name of a task or its twin, without the group that 0.5 puts before it.

    >>> upstream_name("calib_arc_easy"), upstream_name("calib_arc::calib_arc_easy")
    ('arc_easy', 'arc_easy')
    """
    return task.rpartition("::")[2].removeprefix(PREFIX)


def model_name(name: str, revision: str = "", adapter: str = "") -> str:
    """A model's name, with the revision and the adapter that make it another one.

    >>> model_name("org/x", "main"), model_name("org/x", "step1", "runs/lora")
    ('org/x', 'org/x@step1+lora')
    """
    at = f"@{revision.replace('/', ':')}" if name and revision not in ("", "main") else ""
    with_adapter = f"+{Path(adapter).name}" if name and adapter else ""
    return name + at + with_adapter


_NAMED_BY = ("pretrained", "model", "model_path")


def model_of_arguments(arguments: Mapping[str, Any]) -> str:
    """The model that `--model_args` name, or "".

    >>> model_of_arguments({"pretrained": "org/x", "dtype": "float32"})
    'org/x'
    """
    name = next((arguments[key] for key in _NAMED_BY if arguments.get(key)), "")
    adapter = arguments.get("peft") or arguments.get("lora_local_path") or ""
    revision = arguments.get("revision") or ""
    return model_name(name if isinstance(name, str) else "", str(revision), str(adapter))


_SNAPSHOT = re.compile(
    r"models--(?P<name>[^/\\]+?)(?:/|\\|__)snapshots(?:/|\\|__)(?P<commit>[0-9a-f]{7,})$"
)


def short_model_name(name: str) -> str:
    """What a model is called where there is little room: the last part of its name or path.

    A folder in which the hub's library keeps a model is called by the model, not by its commit.

    >>> short_model_name("org/x"), short_model_name("runs/x/checkpoint-5/")
    ('x', 'checkpoint-5')
    >>> short_model_name("/c/hub/models--org--x-1/snapshots/5f0b02c75b57c5855da9ae460ce51323ea669d8a")
    'x-1'
    """
    whole = name.rstrip("/")
    kept = _SNAPSHOT.search(whole)
    if kept:
        return kept["name"].rpartition("--")[2]
    return whole.rpartition("/")[2]


_RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_LONGEST = 120
"""Bytes of a name; file systems take 255, and we add to it."""


def file_name(name: str) -> str:
    """A name, of whatever origin, as that of a file in the folder that is meant, on any system.

    What is too long, hidden, reserved or empty becomes something else, which a digest tells from
    all others; a plain name stays.

    >>> file_name("arc_easy"), file_name("..") != "..", len(file_name("x" * 999)) <= 130
    ('arc_easy', True, True)
    """
    plain = re.sub(r"[^\w.-]", "_", name).lstrip(".").rstrip(". ")
    plain = plain.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    if (
        plain
        and not _RESERVED.fullmatch(plain)
        and len(plain) == len(name.lstrip(".").rstrip(". "))
    ):
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{plain}_{digest}" if not _RESERVED.fullmatch(plain) else f"_{plain}_{digest}"


def of_task(name: str) -> str:
    """Whose documents these are, in words; nothing of a table without tasks.

    >>> of_task("boolq"), of_task("")
    (' of `boolq`', '')
    """
    return f" of `{name}`" if name else ""
