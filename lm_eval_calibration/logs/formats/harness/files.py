"""Find the files that runs of the harness left behind."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval_calibration.logs.contract import LogFile
from lm_eval_calibration.logs.formats.json_list import head_of

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl?")


def task_name(path: Path) -> str:
    """The task of a samples file, by its name: `samples_<task>_<date>.jsonl`, or `<task>.jsonl`."""
    match = _NAME.fullmatch(path.name)
    return match["task"] if match else path.stem


def is_named(path: Path) -> bool:
    """Whether a file is called as the harness calls its samples."""
    return _NAME.fullmatch(path.name) is not None


def sample_files(path: Path) -> dict[Path, dict[str, LogFile]]:
    """The newest samples file of each task in each folder, by folder and task; {} without any.

    Args:
        path: a samples file (any `.jsonl` may be one), or a folder searched for them at any depth.
    """
    newest: dict[Path, dict[str, LogFile]] = {}
    if path.is_dir():
        paths = sorted(p for p in path.rglob("samples_*.json*") if is_named(p))
    else:
        paths = [path] if path.suffix == ".jsonl" or is_named(path) else []
    for each in paths:
        if head_of(each):  # a list, as releases before 0.4.3 wrote: `harness_lists`
            continue
        match = _NAME.fullmatch(each.name)
        found = LogFile(task_name(each), match["date"] if match else "", each)
        tasks = newest.setdefault(each.parent, {})
        if found.task not in tasks or found.date > tasks[found.task].date:
            tasks[found.task] = found
    return newest


def filter_mark(name: str) -> bytes:
    """What stands in a line that was logged under the filter."""
    return json.dumps({"filter": name}, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")


def has_filter(path: Path, name: str) -> bool:
    """Whether a line of a samples file was logged under the filter."""
    if not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        return text.find(filter_mark(name)) >= 0


def other_filters(name: Any, others: Mapping[str, int]) -> tuple[str, ...]:
    """A note on the lines of filters that were not read, if there are some."""
    if not others:
        return ()
    listed = ", ".join(f"{other} ({count:,})" for other, count in sorted(others.items()))
    return (f"read are the lines of filter {name}, not those of {listed}; --filter chooses",)
