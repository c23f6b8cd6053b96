"""Find the files that runs of the harness left behind."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lm_eval_calibration.logs.contract import LogFile
from lm_eval_calibration.logs.formats.json_list import head_of

_NAME = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl?")


def task_name(path: Path) -> str:
    """The task of a samples file, by its name: `samples_<task>_<date>.jsonl`, or `<task>.jsonl`."""
    match = _NAME.fullmatch(path.name)
    return match["task"] if match else path.stem


def date_of(path: Path) -> str:
    """When the run of a samples file ended, by its name; "" if it does not say."""
    match = _NAME.fullmatch(path.name)
    return match["date"] if match else ""


def is_named(path: Path) -> bool:
    """Whether a file is called as the harness calls its samples."""
    return _NAME.fullmatch(path.name) is not None


def sample_files(path: Path) -> dict[Path, list[LogFile]]:
    """All samples files, by folder; {} without any.

    Args:
        path: a samples file (any `.jsonl` may be one), or a folder searched for them at any depth.
    """
    if path.is_dir():
        paths = sorted(p for p in path.rglob("samples_*.json*") if is_named(p))
    else:
        paths = [path] if path.suffix == ".jsonl" or is_named(path) else []
    found: dict[Path, list[LogFile]] = {}
    for each in paths:
        if head_of(each):  # a list, as releases before 0.4.3 wrote: `harness_lists`
            continue
        found.setdefault(each.parent, []).append(LogFile(task_name(each), date_of(each), each))
    return found


def newest(files: Iterable[LogFile]) -> dict[str, LogFile]:
    """The newest file of each task."""
    kept: dict[str, LogFile] = {}
    for file in files:
        if file.task not in kept or file.date > kept[file.task].date:
            kept[file.task] = file
    return kept


def results_file(folder: Path, date: str) -> Path | None:
    """What the run of a date wrote beside its samples, if it is there.

    `results_<date>.json`, or with `--output_path out/name.json`, `name_<date>.json`.
    """
    usual = folder / f"results_{date}.json"
    if not date or usual.is_file():
        return usual if date else None
    end = f"_{date}.json"
    named = sorted(p for p in folder.iterdir() if p.name.endswith(end) and not is_named(p))
    return named[0] if named else None


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
