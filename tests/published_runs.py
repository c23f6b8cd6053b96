"""The runs that are checked in, unpacked; and what is asked of every format of them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from lm_eval_calibration.logs import Run, read_runs

FIXTURES = Path(__file__).parent / "logs" / "fixtures"


def unpacked(name: str, folder: Path) -> Path:
    """One of the checked-in runs, in a folder of its own."""
    with zipfile.ZipFile(FIXTURES / f"{name}.zip") as archive:
        archive.extractall(folder / name)
    return folder / name


def read(path: Path, **asked: Any) -> tuple[dict[str, Run], list[str]]:
    """Its runs by their labels, and what was left out."""
    runs, left_out = read_runs([path], **asked)
    return {run.label: run for run in runs}, left_out


def logged(folder: Path, pattern: str) -> dict[str, dict[str, float]]:
    """The figures in the only results file that a pattern finds."""
    (path,) = folder.rglob(pattern)
    results = json.loads(path.read_text())["results"]
    assert isinstance(results, dict)
    return results
