"""`HarnessLogs`: the format of what `lm_eval --log_samples --output_path` leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lm_eval_calibration.logs.contract import AskedOfLogs, Begun, Left, LogFile, ReadRun
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.harness.bad import OtherTypeError
from lm_eval_calibration.logs.formats.harness.documents import read_documents
from lm_eval_calibration.logs.formats.harness.files import is_named, newest, sample_files
from lm_eval_calibration.logs.formats.harness.results import (
    by_model,
    groups_of,
    results_beside,
    results_of,
    rows_of,
)
from lm_eval_calibration.logs.formats.harness.samples_file import FORMAT, PendingLines, begin
from lm_eval_calibration.logs.run import Run, Samples
from lm_eval_calibration.names import short_model_name
from lm_eval_calibration.redact import hiding, redact


class HarnessLogs:
    """A `Format`; one file for each task."""

    name = FORMAT
    meaning = "runs of lm-evaluation-harness, made with --log_samples"

    def finds(self, path: Path) -> Sequence[Left]:
        """The newest samples of each task of each model in each folder."""
        sure = path.is_dir() or is_named(path)
        return [
            Left(self.name, folder, newest(mine), model=model, sure=sure)
            for folder, files in sample_files(path).items()
            for model, mine in by_model(files).items()
        ]

    def about(self, left: Left) -> Left:
        """With what its results files say."""
        results = tuple(results_of(left.files.values()))
        model = next((str(r["model_name"]) for r in results if r.get("model_name")), left.model)
        return replace(left, results=results, model=model or _of_folder(left.folder.resolve().name))

    def begin(self, left: Left, asked: AskedOfLogs) -> Begun:
        """Begin every file of multiple choice; others are left out, with the reason."""
        alone = left.results[0] if len(left.results) == 1 else {}
        beside = {
            f.date: results_beside(f.path) or alone
            for f in {f.date: f for f in left.files.values()}.values()
        }
        begun = {
            task: _begin(file, asked, left.secrets, beside[file.date])
            for task, file in left.files.items()
        }
        pending = [each for each in begun.values() if isinstance(each, PendingLines)]
        wanted = pending if asked.filter_name is not None else []
        filters = {str(each.started().filter_name) for each in wanted}
        return Begun(lambda: _finish(left, asked, begun), filters)

    def documents(self, samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
        """From the lines that were read."""
        return read_documents(samples, rows)


def _of_folder(name: str) -> str:
    """The model that a folder is named after: the harness writes `__` for the slashes."""
    whole = short_model_name(name)
    return whole if whole != name else name.rpartition("__")[2]


def _begin(
    file: LogFile, asked: AskedOfLogs, secrets: frozenset[str], results: Mapping[str, Any]
) -> PendingLines | OtherTypeError:
    """A file whose reading has begun, or why it holds nothing to read."""
    try:
        with hiding(secrets):
            return begin(file.path, asked.submit, asked.filter_name, results)
    except OtherTypeError as error:
        return error


def _finish(
    left: Left,
    asked: AskedOfLogs,
    begun: Mapping[str, PendingLines | OtherTypeError],
) -> ReadRun:
    read: dict[str, Samples] = {}
    reasons = []
    for task, pending in begun.items():
        try:
            with hiding(left.secrets):
                if isinstance(pending, OtherTypeError):
                    raise pending
                samples = pending.finish(left.label, asked.skip_bad, asked.progress)
        except OtherTypeError as error:
            reasons.append(str(error))
            continue
        notes = redact(samples.notes, left.secrets)
        read[task] = replace(samples, notes=notes, secrets=left.secrets)
    if not read:
        return ReadRun([], reasons)
    groups = groups_of(left.results, read)
    rows = rows_of(left.results, groups)
    return ReadRun([Run(left.label, read, groups, left.results, rows)], reasons)
