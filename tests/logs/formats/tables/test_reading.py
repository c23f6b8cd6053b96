"""Tables of confidences in every format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.logs.formats.tables import Columns, files, read_table

ROWS = {
    "p": [0.1, 0.9, 0.5, 1.0, 0.0],
    "ok": [0, 1, 1, 1, 0],
    "grade": ["Wrong", "Correct", "Correct", "Correct", "Unparseable"],
    "model": ["a", "a", "b", "b", "b"],
    "task": ["x", "y", "x", "x", "x"],
    "extra": [None, 1, 2, 3, 4],
}
PLAIN = Columns("p", "ok")


def write(folder: Path, suffix: str, **changes: list[Any]) -> Path:
    frame = pd.DataFrame({**ROWS, **changes})
    path = folder / f"table{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    else:
        frame.to_parquet(path)
    return path


@pytest.fixture(params=[".csv", ".jsonl", ".parquet"])
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[1, 2, 100])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "BLOCK_ROWS", request.param)


@pytest.mark.usefixtures("block")
def test_formats_hold_the_same(tmp_path: Path, suffix: str) -> None:
    (run,), notes = read_table([write(tmp_path, suffix)], PLAIN)
    (samples,) = run.samples.values()
    assert samples.predictions.confidence.tolist() == ROWS["p"]
    assert samples.predictions.correct.tolist() == [False, True, True, True, False]
    assert notes == []


@pytest.mark.usefixtures("block")
def test_models_tasks_conditions_and_verdicts_by_value(tmp_path: Path, suffix: str) -> None:
    columns = Columns("p", "grade", "Correct", "model", "task", {"task": ("x",)})
    runs, _ = read_table([write(tmp_path, suffix)], columns)
    assert [(run.label, list(run.samples)) for run in runs] == [("a", ["x"]), ("b", ["x"])]
    b = runs[1].samples["x"]
    assert (b.run, b.task, len(b)) == ("b", "x", 3)
    assert b.predictions.correct.tolist() == [True, True, False]  # unparseable is not correct
    both = Columns("p", "ok", None, "model", "task", {"task": ("x", "y")})
    assert sum(len(s) for run in read_table([write(tmp_path, suffix)], both)[0]
               for s in run.samples.values()) == 5  # fmt: skip


@pytest.mark.parametrize("words", [[True, False] * 2 + [True], ["true", "False", "1", "0", "TRUE"]])
def test_verdicts_in_words(tmp_path: Path, words: list[Any]) -> None:
    (run,), _ = read_table([write(tmp_path, ".csv", ok=words)], PLAIN)
    (samples,) = run.samples.values()
    assert samples.predictions.correct.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"p": [0.1, 1.5, 0.5, 1, 0]}, r"row 2: `p` must be in \[0, 1\], got `1.5`"),
        ({"p": [0.1, None, 0.5, 1, 0]}, r"row 2: `p` must be in \[0, 1\], got"),
        ({"ok": [0, 2, 1, 1, 0]}, r"row 2: `ok` must be 0 or 1 \(or true or false\), got `2(.0)?`"),
        ({"ok": [0, None, 1, 1, 0]}, "row 2: `ok` must be 0 or 1"),
    ],
)
def test_bad_rows_are_named_or_counted(
    tmp_path: Path, suffix: str, changes: dict[str, list[Any]], message: str
) -> None:
    path = write(tmp_path, suffix, **changes)
    with pytest.raises(InvalidInputError, match=message):
        read_table([path], PLAIN)
    (run,), (note,) = read_table([path], PLAIN, skip_bad=True)
    assert sum(len(s) for s in run.samples.values()) == 4
    assert "1 row left out, the first of them row 2" in note


def test_a_missing_verdict_is_not_wrong(tmp_path: Path) -> None:
    path = write(tmp_path, ".parquet", grade=["Correct", None, "Wrong", "Wrong", "Wrong"])
    with pytest.raises(InvalidInputError, match="row 2: `grade`"):
        read_table([path], Columns("p", "grade", "Correct"))


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    empty, broken = tmp_path / "empty.csv", tmp_path / "broken.parquet"
    odd, lines = tmp_path / "table.xlsx", tmp_path / "lines.jsonl"
    empty.touch()
    odd.touch()
    broken.write_bytes(b"PAR0")
    lines.write_text('{"p": 0.5, "ok": 1}\n[1]\n')
    for path, message in (
        (tmp_path / "gone.csv", "does not exist"),
        (odd, r"must be a .csv, .tsv, .jsonl, .parquet file to have columns, got `.xlsx`"),
        (empty, "cannot be read as CSV"),
        (broken, "cannot be read as Parquet"),
        (lines, "line 2: no JSON object"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            read_table([path], PLAIN)


def test_unknown_columns_and_conditions_that_leave_nothing(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, suffix)
    with pytest.raises(UnknownNameError, match=r"Unknown column in .* `okay`.*Did you mean `ok`"):
        read_table([path], Columns("p", "okay"))
    with pytest.raises(InvalidInputError, match="no rows with `task` = z"):
        read_table([path], Columns("p", "ok", where={"task": ("z",)}))
