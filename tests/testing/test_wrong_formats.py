"""Each wrong format is caught by the law that it breaks, and right ones of other kinds pass."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import FORMATS, document_hash, read_runs
from lm_eval_calibration.logs.contract import FileByFile, Left, LogFile
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing import check_format
from lm_eval_calibration.texts import printable

COLUMNS = ["run", "task", "question", "yes", "gold"]


class Rows(FileByFile):
    """A row for each document, of several runs and tasks in one file."""

    name = "rows"
    meaning = "a row for each document"

    def finds(self, path: Path) -> list[Left]:
        """Runs by the column `run`."""
        runs: dict[tuple[Path, str], dict[str, LogFile]] = {}
        for each in sorted(path.rglob("*.rows.csv")) if path.is_dir() else [path]:
            if each.name.endswith(".rows.csv"):
                for row in csv.DictReader(each.read_text(errors="replace").splitlines()):
                    if row.get("run") and row.get("task"):
                        files = runs.setdefault((each, row["run"]), {})
                        files[row["task"]] = LogFile(row["task"], "", each, row["run"])
        return [Left(self.name, path.parent, files, run) for (path, run), files in runs.items()]

    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        """Rows of a run and a task; bad ones are counted for all."""
        lines = file.path.read_text(errors="replace").splitlines()
        rows, bad = [], 0
        for row in csv.DictReader(lines):
            try:
                told = (
                    row["run"],
                    row["task"],
                    row["question"],
                    float(row["yes"]),
                    int(row["gold"]),
                )
            except (KeyError, ValueError, TypeError):
                bad += 1
                continue
            if told[:2] == (file.part, file.task):
                rows.append(told[2:])
        if bad and not skip_bad:
            raise InvalidInputError(f"{file.path} has {bad} bad row(s).")
        if not rows:
            raise InvalidInputError(f"{file.path} has no rows of {file.task}.")
        scores = [[np.log(p), np.log1p(-p)] for _, p, _ in rows]
        notes = (f"{bad} bad row(s) left out",) if bad else ()
        hashes = np.array([document_hash(q) for q, _, _ in rows], dtype=np.uint64)
        predictions = Predictions.from_options(scores, [gold for _, _, gold in rows])
        return Samples(label, file.task, file.path, predictions, doc_hash=hashes, notes=notes)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two runs of two tasks in one file."""
    path = tmp_path / "table" / "all.rows.csv"
    path.parent.mkdir()
    rows = [
        ",".join([run, task, f"number {i}", f"{0.2 + 0.01 * (i + len(rest)):.2f}", str(i % 2)])
        for run, rest in (("one", ""), ("two", "x"))
        for task in ("arc", "boolq")
        for i in range(20)
    ]
    path.write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    return path.parent


def test_several_runs_and_tasks_of_one_file(table: Path) -> None:
    check_format(Rows(), table, expected={"all.rows.csv": 0.5})
    with FORMATS.added(Rows()):
        runs, _ = read_runs([table])
        assert [(run.label, *run.samples) for run in runs] == [
            ("one", "arc", "boolq"), ("two", "arc", "boolq"),
        ]  # fmt: skip
        (one, two) = (run.samples["arc"].predictions.confidence for run in runs)
        assert not np.array_equal(one, two)
        picked, _ = read_runs([f"two={table}", f"one={table}"], one_each=True)
        assert [run.label for run in picked] == ["two", "one"]
        assert np.array_equal(picked[0].samples["arc"].predictions.confidence, two)
        with pytest.raises(InvalidInputError, match=r"several runs; name one: one=.*, two="):
            read_runs([table], one_each=True)


class TwoModels(Rows):
    """Tells runs apart by their models, not by labels."""

    name = "two-models"

    def finds(self, path: Path) -> list[Left]:
        return [
            replace(left, format=self.name, label="", model=left.label)
            for left in super().finds(path)
        ]


def test_models_tell_runs_apart(table: Path) -> None:
    check_format(TwoModels(), table)


class Alike(Rows):
    def finds(self, path: Path) -> list[Left]:
        return [replace(left, label="") for left in super().finds(path)]


class Silent(Rows):
    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        return replace(super().read(file, label, True), notes=())


class Nameless(Rows):
    def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
        try:
            return super().read(file, label, skip_bad)
        except InvalidInputError:
            raise InvalidInputError("That cannot be read.") from None


class FoldersOnly(Rows):
    def finds(self, path: Path) -> list[Left]:
        return super().finds(path) if path.is_dir() else []


class Claims(Rows):
    def finds(self, path: Path) -> list[Left]:
        """Whatever has a document in its first line."""
        if path.is_file() and path.suffix == ".jsonl":
            try:
                json.loads(path.read_text().splitlines()[0])["doc"]
            except (ValueError, LookupError):
                return []
            return [Left(self.name, path.parent, {"t": LogFile("t", "", path)})]
        return super().finds(path)


def hashed(by: Callable[[int], Any]) -> type[Rows]:
    class Hashed(Rows):
        def read(self, file: LogFile, label: str, skip_bad: bool) -> Samples:
            samples = super().read(file, label, skip_bad)
            return replace(samples, doc_hash=np.array([by(i) for i in range(len(samples))]))

    return Hashed


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Alike, "is one `Left`; give each run its label"),
        (Silent, r"left out must be an error.*all.rows.csv, cut at byte \d+ of"),
        (Nameless, "one line that names the file, got 'That cannot be read.' of all.rows.csv, cut"),
        (FoldersOnly, "all.rows.csv must be found when it is named itself"),
        (Claims, "samples_arc_easy.*is no log of this format"),
        (hashed(lambda i: np.uint64(random.getrandbits(60))), "read again must be the same"),
        (hashed(lambda i: np.uint64(1)), "`doc_hash` must tell documents apart"),
        (hashed(int), "`doc_hash` must be of uint64, got int64"),
    ],
)
def test_it_is_caught(kind: type[Rows], law: str, table: Path) -> None:
    with pytest.raises(AssertionError, match=law):
        check_format(kind(), table)


@pytest.mark.parametrize("name", ["", "lm-eval", "a\x1b[31m", "has space/.."])
def test_names(name: str, table: Path) -> None:
    format_ = Rows()
    format_.name = name
    with pytest.raises(AssertionError, match="name"):
        check_format(format_, table)
    assert printable(name) == name or name not in FORMATS


def test_what_is_no_folder_of_logs(table: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for logs in (tmp_path / "nowhere", table / "all.rows.csv"):
        with pytest.raises(AssertionError, match="`logs` must be a folder"):
            check_format(Rows(), logs)
    with pytest.raises(AssertionError, match="no run of this format was found"):
        check_format(Rows(), tmp_path / "empty")
    with pytest.raises(AssertionError, match=r"acc of all\.rows\.csv must be 0\.7, got 0\.5"):
        check_format(Rows(), table, expected={"all.rows.csv": 0.7})


def test_formats_that_fail(example: Any, scores: Path) -> None:
    kind = type(example.scores_json.FORMAT)

    class Greedy(kind):  # type: ignore[misc, valid-type]
        def finds(self, path: Path) -> Any:
            found = super().finds(path)
            return found or super().finds(scores)

    class Fragile(kind):  # type: ignore[misc, valid-type]
        def read(self, file: Any, label: str, skip_bad: bool) -> Any:
            json.loads(file.path.read_text())
            return super().read(file, label, skip_bad)

    class Raises(kind):  # type: ignore[misc, valid-type]
        def finds(self, path: Path) -> Any:
            raise LookupError("oh")

    for format_, law in (
        (Greedy(), "holds no runs"),
        (Fragile(), "must be an InvalidInputError"),
        (Raises(), "are none of its runs.*Got LookupError: oh"),
    ):
        with pytest.raises(AssertionError, match=law):
            check_format(format_, scores)
    with pytest.raises(AssertionError, match="it is a class"):
        check_format(kind, scores)
