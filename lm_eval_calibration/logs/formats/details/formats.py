"""The two formats of details, which differ in their files' names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from lm_eval_calibration.logs.contract import Left, LogFile
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.details.reading import documents_of, read_details
from lm_eval_calibration.logs.formats.left_out import OnlyOptions
from lm_eval_calibration.logs.run import Samples

_DATE = r"\d{4}-\d{2}-\d{2}T[\d.:_-]+"
_NAME = re.compile(rf"details_(?P<task>.+?)_(?P<date>{_DATE})\.parquet")
_OF_HARNESS = re.compile(r"harness([|_])(?P<task>.+)\1(?P<shots>\d+)")
_DATA_SET = re.compile(r"details_+(?P<model>.+)")


class Details(OnlyOptions):
    """A format of details.

    Args:
        name: as `lm-calib` says it.
        meaning: one line.
        harness: whether its tasks are called `harness|<task>|<shots>`.
    """

    def __init__(self, name: str, meaning: str, harness: bool) -> None:
        self.name, self.meaning, self.harness = name, meaning, harness

    def finds(self, path: Path) -> Sequence[Left]:
        """The newest details of each task of each model."""
        models: dict[Path, dict[str, LogFile]] = {}
        for folder, file in self._files(path):
            tasks = models.setdefault(folder, {})
            if file.task not in tasks or file.date > tasks[file.task].date:
                tasks[file.task] = file
        return [
            Left(self.name, folder, files, model=_model(folder)) for folder, files in models.items()
        ]

    def _files(self, path: Path) -> Iterator[tuple[Path, LogFile]]:
        paths = sorted(path.rglob("details_*.parquet")) if path.is_dir() else [path]
        for each in paths:
            match = _NAME.fullmatch(each.name)
            if match is None or not each.is_file():
                continue
            task = unquote(match["task"])
            of_harness = _OF_HARNESS.fullmatch(task)
            if (of_harness is not None) is not self.harness:
                continue
            if of_harness is not None:
                task = f"harness|{of_harness['task']}|{of_harness['shots']}"
            dated = re.fullmatch(_DATE, each.parent.name) is not None
            yield each.parent.parent if dated else each.parent, LogFile(task, match["date"], each)

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """A task's file."""
        return read_details(file, label, skip_bad, self.name)

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """From the file that was read."""
        return documents_of(samples, rows)


def _model(folder: Path) -> str:
    """The model whose details a folder holds, by its path; "" if that does not say it.

    lighteval: `details/<model>`; a data set of the hub: `details_<owner>__<model>`.
    """
    parts = folder.resolve().parts
    for i in range(len(parts) - 1, 0, -1):
        match = _DATA_SET.fullmatch(parts[i])
        if match is not None:
            return match["model"].replace("__", "/")
        if parts[i] == "details":
            return "/".join(parts[i + 1 :])
    return ""


LIGHTEVAL = Details("lighteval", "details of lighteval, details_<task>_<date>.parquet", False)
LEADERBOARD = Details(
    "leaderboard-v1",
    "details of the Open LLM Leaderboard v1, details_harness|<task>|<shots>_<date>.parquet",
    True,
)
