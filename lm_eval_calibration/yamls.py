"""Where the package's own task files and prompts are, installed or in a checkout."""

from __future__ import annotations

import re
from pathlib import Path


def task_yamls() -> Path:
    """The folder of our task YAMLs, for `--include_path` and the harness's index.

    A wheel carries it inside the package; a checkout (or editable install) has it beside it.
    """
    package = Path(__file__).resolve().parent
    inside = package / "task_yamls"
    return inside if inside.is_dir() else package.parent / "task_yamls"


def curated_tasks() -> list[str]:
    """Names of the tasks and groups that our YAMLs define."""
    name = re.compile(r"^(?:task|group): *(\S+) *$", re.MULTILINE)
    texts = (file.read_text(encoding="utf-8") for file in task_yamls().rglob("*.yaml"))
    return sorted(match[1] for text in texts if (match := name.search(text)))
