"""What harness releases 0.4.0 to 0.4.2, and those of a few days of May 2024, left: one JSON list a task.

0.4.0 to 0.4.2 write `{model_args with / and = replaced}_{task}.jsonl` beside `results.json`; later
`samples_{task}_{date}.json` was a list, too. A list becomes lines in a temporary file, which are read as any lines of the
harness.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration import json_text
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.contract import AskedOfLogs, Begun, Left, LogFile, ReadRun
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.harness import HARNESS
from lm_eval_calibration.logs.formats.harness.bad import BadLineError
from lm_eval_calibration.logs.formats.harness.documents import read_documents
from lm_eval_calibration.logs.formats.harness.files import is_named, task_name
from lm_eval_calibration.logs.formats.harness.line import doc_hash, parse
from lm_eval_calibration.logs.formats.harness.results import read_results
from lm_eval_calibration.logs.formats.json_list import elements, head_of, written_as_lines
from lm_eval_calibration.logs.packed import new_folder
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.names import file_name

_DATE = re.compile(r"_(\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl?$")
_MODEL = re.compile(r"(?:^|,)(?:pretrained|model|engine)__([^,]+)")
RESULTS = "results.json"


class HarnessLists:
    """A `Format`; the same documents as in lines, one list for each task."""

    name = "lm-eval-lists"
    meaning = "runs of lm-evaluation-harness before 0.4.3, made with --log_samples"

    def finds(self, path: Path) -> Sequence[Left]:
        """The lists of each run in each folder."""
        folders: dict[Path, list[Path]] = {}
        for each in sorted(path.rglob("*.json*")) if path.is_dir() else [path]:
            if is_list(each):
                folders.setdefault(each.parent, []).append(each)
        return [left for folder, paths in folders.items() for left in self._runs(folder, paths)]

    def _runs(self, folder: Path, paths: Iterable[Path]) -> list[Left]:
        named, tasks = _named(folder), _tasks(folder)
        runs: dict[str, dict[str, LogFile]] = {}
        for path in paths:
            run, task = ("", task_name(path)) if is_named(path) else _split(path.stem, named, tasks)
            date = _DATE.search(path.name)
            file = LogFile(task, date[1] if date else "", path)
            files = runs.setdefault(run, {})
            if task not in files or file.date > files[task].date:
                files[task] = file
        alone = len(runs) == 1
        return [
            Left(self.name, folder if alone else folder / run, files, model=_model(run))
            for run, files in runs.items()
        ]

    def about(self, left: Left) -> Left:
        """With what its results files say."""
        first = next(iter(left.files.values())).path
        if is_named(first):
            return HARNESS.about(left)
        named = _named(first.parent)
        if named is None or not first.name.startswith(f"{named}_"):
            return left
        return replace(left, results=(read_results(first.with_name(RESULTS)),))

    def begin(self, left: Left, asked: AskedOfLogs) -> Begun:
        """Begin every list of multiple choice; others are left out, with the reason."""
        lines = {}
        for task, file in left.files.items():
            target = new_folder(str(file.path.parent)) / f"{file_name(task)}.jsonl"
            written_as_lines(file.path, target)
            lines[task] = file._replace(path=target)
        places = [(lines[task].path, file.path) for task, file in left.files.items()]
        try:
            begun = HARNESS.begin(replace(left, files=lines), asked)
        except InvalidInputError as error:
            raise InvalidInputError(_of_lists(str(error), places)) from None

        def finish() -> ReadRun:
            try:
                read = begun.finish()
            except InvalidInputError as error:
                raise InvalidInputError(_of_lists(str(error), places)) from None
            runs = [self._of_lists(run, left.files, places) for run in read.runs]
            return ReadRun(runs, [_of_lists(reason, places) for reason in read.left_out])

        return Begun(finish, begun.filters)

    def _of_lists(
        self, run: Run, files: Mapping[str, LogFile], places: Sequence[tuple[Path, Path]]
    ) -> Run:
        samples = {
            task: replace(
                s,
                task=task,
                path=files[task].path,
                offset=np.empty(0, np.int64),
                notes=tuple(_of_lists(note, places) for note in s.notes),
                format=self.name,
            )
            for task, s in run.samples.items()
        }
        return replace(run, samples=samples)

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """From the list that was read."""
        wanted: dict[int | None, int] = {int(samples.doc_hash[row]): row for row in rows}
        offset = np.zeros(len(samples), np.int64)
        target = new_folder(str(samples.path.parent)) / "shown.jsonl"
        with target.open("wb") as file:
            for _, text in elements(samples.path):
                row = wanted.pop(_hash(text), None)
                if row is not None:
                    offset[samples.doc_hash == samples.doc_hash[row]] = file.tell()
                    file.write(b" ".join(text.splitlines()) + b"\n")
                if not wanted:
                    break
        if wanted:
            raise InvalidInputError(f"{samples.path} was changed since it was read.")
        return read_documents(replace(samples, path=target, offset=offset), rows)


def is_list(path: Path) -> bool:
    """Whether a file is a list of documents as the harness logs them."""
    if path.suffix not in (".json", ".jsonl") or not path.is_file():
        return False
    head = head_of(path)
    return bool(head) and (is_named(path) or (b'"doc_id"' in head and b'"prompt_0"' not in head))


def _hash(text: bytes) -> int | None:
    try:
        return doc_hash(parse(text))
    except BadLineError:
        return None


def _of_lists(text: str, places: Sequence[tuple[Path, Path]]) -> str:
    """A text about lines of temporary files, as one about documents of the lists that they were."""
    for lines, path in places:
        text = text.replace(str(lines), str(path))
    return re.sub(r"\bline(s?)\b(?= \d| left out| cannot|s? agree)", r"document\1", text)


def _results(folder: Path) -> Mapping[str, Any]:
    """The results file, which the last run into a folder wrote; {} without one that can be used."""
    try:
        return json_text.read_object(folder / RESULTS)
    except (InvalidInputError, OSError):
        return {}


def _named(folder: Path) -> str | None:
    """How names of the files begin whose run wrote the results file."""
    config = _results(folder).get("config")
    arguments = config.get("model_args") if isinstance(config, Mapping) else None
    return re.sub("/|=", "__", arguments) if isinstance(arguments, str) else None


def _tasks(folder: Path) -> list[str]:
    """Tasks that the results file knows, long names first."""
    configs = _results(folder).get("configs")
    return sorted(configs, key=len, reverse=True) if isinstance(configs, Mapping) else []


def _split(stem: str, named: str | None, tasks: Sequence[str]) -> tuple[str, str]:
    """(model's arguments, task) of a file's name; ("", the whole name) if nothing tells them apart."""
    if named is not None and stem.startswith(f"{named}_"):
        return named, stem.removeprefix(f"{named}_")
    task = next((task for task in tasks if stem.endswith(f"_{task}")), None)
    return ("", stem) if task is None else (stem.removesuffix(f"_{task}"), task)


def _model(run: str) -> str:
    match = _MODEL.search(run)
    return match[1].replace("__", "/") if match else ""


LISTS = HarnessLists()
