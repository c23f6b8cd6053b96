"""`--correct COLUMN=VALUE`: a value that no cell holds is an error that helps, never an accuracy of 0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import written

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.formats.tables import Columns, files, read_table

SUFFIXES = (".csv", ".jsonl", ".parquet")


def table(folder: Path, suffix: str, cells: list[Any]) -> Path:
    frame = pd.DataFrame({"p": [0.5] * len(cells), "ok": cells, "answer": ["x"] * len(cells)})
    return written(frame, folder, suffix)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("cells", "right", "message"),
    [
        (["Yes", "no", "Yes"], "yes", r"is 'yes'; it holds 'Yes' \(2\), 'no' \(1\)\. 'Yes' differs only by case "
         r"or spaces: write --correct 'ok=Yes'"),
        (["is right", "wrong"], "Is  Right", "'is right' differs only by case or spaces"),
        (["x", "y"], "good", r"'x' \(1\), 'y' \(1\)\. Write --correct 'ok=VALUE'"),
        ([0, 1, 1], "2", r"it holds '1(\.0)?' \(2\), '0(\.0)?' \(1\)"),
        ([f"v{i}" for i in range(20)], "w", "and 12 more values"),
    ],
)  # fmt: skip
def test_a_value_that_no_cell_holds(
    tmp_path: Path, suffix: str, cells: list[Any], right: str, message: str
) -> None:
    with pytest.raises(
        InvalidInputError, match=rf"--correct ok={right}: no cell of `ok`.*{message}"
    ):
        read_table([table(tmp_path, suffix, cells)], Columns("p", "ok", right))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("cells", "right"),
    [([1, 0], "1"), ([1.0, 0.0], "1"), ([1, 0], "1.0"), ([True, False], "true"), (["a", "b"], "a")],
)
def test_one_value_in_several_writings(
    tmp_path: Path, suffix: str, cells: list[Any], right: str
) -> None:
    if suffix != ".parquet" and right == "true":
        return  # (texts there)
    (run,), _ = read_table([table(tmp_path, suffix, cells)], Columns("p", "ok", right))
    (samples,) = run.samples.values()
    assert samples.predictions.correct.tolist() == [True, False]
    assert samples.notes == ()


def test_what_differs_by_case_beside_the_value_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK_ROWS", 2)
    path = table(tmp_path, ".csv", ["no", "no", "Yes", "yes", "YES"])
    (run,), _ = read_table([path], Columns("p", "ok", "yes"))
    (samples,) = run.samples.values()
    assert samples.predictions.correct.sum() == 1
    assert samples.notes == (
        "--correct ok=yes counts as wrong what differs from it only by case or spaces: 'Yes' (1), 'YES' (1)",
    )


def test_all_wrong_is_no_error_where_verdicts_are_plain(tmp_path: Path) -> None:
    (run,), _ = read_table([table(tmp_path, ".csv", [0, 0])], Columns("p", "ok"))
    assert not run.samples[""].predictions.correct.any()
