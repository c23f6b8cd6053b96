"""Names of twins and of the tasks they are twins of, and of models."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PREFIX = "calib_"
"""`calib_<task>` is the twin of `<task>`."""


def upstream_name(task: str) -> str:
    """The harness's name of a task or its twin.

    >>> upstream_name("calib_arc_easy"), upstream_name("arc_easy")
    ('arc_easy', 'arc_easy')
    """
    return task.removeprefix(PREFIX)


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
