"""Find the files that runs of the harness left behind."""

from __future__ import annotations

import glob
import json
import mmap
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lm_eval_calibration.errors import InvalidInputError

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl?")


class SampleFile(NamedTuple):
    """A samples file: its task, when the run ended, and where it lies."""

    task: str
    date: str
    path: Path


def task_name(path: Path) -> str:
    """The task of a samples file, by its name: `samples_<task>_<date>.jsonl`, or `<task>.jsonl`."""
    match = _NAME.fullmatch(path.name)
    return match["task"] if match else path.stem


def sample_files(runs: Iterable[str | Path]) -> dict[Path, dict[str, SampleFile]]:
    """The newest samples file of each task in each folder.

    Args:
        runs: samples files, folders searched for them at any depth, or glob patterns of both.

    Returns:
        Files by folder and task, in the order found.

    Raises:
        InvalidInputError: a path does not exist, a folder holds no samples, or a pattern matches
            nothing.
    """
    newest: dict[Path, dict[str, SampleFile]] = {}
    for path in dict.fromkeys(p for run in runs for p in _expand(str(run))):
        match = _NAME.fullmatch(path.name)
        found = SampleFile(task_name(path), match["date"] if match else "", path)
        tasks = newest.setdefault(path.parent, {})
        if found.task not in tasks or found.date > tasks[found.task].date:
            tasks[found.task] = found
    return newest


def _expand(run: str) -> list[Path]:
    """The samples files that one argument stands for."""
    path = Path(run)
    if not os.path.exists(path) and glob.has_magic(run):
        matches = sorted(glob.glob(run, recursive=True))
        if not matches:
            raise InvalidInputError(f"Nothing matches {run}.")
        # A pattern may catch results files beside the samples; only what it names is asked for.
        files = [m for m in matches if os.path.isdir(m) or _NAME.fullmatch(Path(m).name)]
        return [p for match in files or matches for p in _expand(match)]
    if os.path.isdir(path):
        found = sorted(p for p in path.rglob("samples_*.json*") if _NAME.fullmatch(p.name))
        if not found:
            raise InvalidInputError(
                f"{run} holds no samples_<task>_<date>.jsonl. Run lm_eval with --log_samples and "
                "--output_path."
            )
        return found
    if not os.path.exists(path):
        raise InvalidInputError(f"{run} does not exist.")
    if path.suffix != ".jsonl" and not _NAME.fullmatch(path.name):
        raise InvalidInputError(
            f"{run} is no samples file (samples_<task>_<date>.jsonl) or folder of a run. For a "
            "table of confidences give --confidence and --correct."
        )
    return [path]


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
