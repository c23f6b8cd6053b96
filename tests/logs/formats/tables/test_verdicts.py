"""Verdicts by comparing two columns, and never by a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from frames import written

from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.logs.formats.tables import Columns, files, read_table

SUFFIXES = (".csv", ".jsonl", ".parquet")
SAID = Columns("p", "predicted", "gold")
EXPLICIT = Columns("p", "predicted", equal_to="gold")


def table(folder: Path, suffix: str, predicted: list[Any], gold: list[Any]) -> Path:
    frame = pd.DataFrame({"p": [0.5] * len(gold), "predicted": predicted, "gold": gold})
    return written(frame, folder, suffix)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("columns", [SAID, EXPLICIT])
@pytest.mark.parametrize(
    ("predicted", "gold", "right"),
    [
        (["A", " B", "C"], ["A", "B ", "D"], [True, True, False]),
        (["3", "4.0", "x"], ["3.0", "4", "5"], [True, True, False]),
        ([3, 4, 5], [3.0, 4.0, 6.0], [True, True, False]),
        (["1e3", "0x1", "1"], ["1000", "1", "1"], [True, False, True]),
    ],
)
def test_texts_and_numbers(
    tmp_path: Path, suffix: str, columns: Columns, predicted: Any, gold: Any, right: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(files, "BLOCK_ROWS", 2)
    (run,), _ = read_table([table(tmp_path, suffix, predicted, gold)], columns)
    samples = run.samples[""]
    assert samples.predictions.correct.tolist() == right
    assert samples.notes == (
        "an answer is right where the columns `predicted` and `gold` are equal",
    )


def test_what_differs_by_case_alone_is_said(tmp_path: Path) -> None:
    (run,), _ = read_table([table(tmp_path, ".csv", ["a", "B", "c"], ["A", "B", "C"])], SAID)
    assert run.samples[""].predictions.correct.tolist() == [False, True, False]
    assert "of 2 rows they differ by case alone, which counts as wrong" in run.samples[""].notes


def test_a_value_that_is_also_a_column_is_not_guessed(tmp_path: Path) -> None:
    path = table(tmp_path, ".csv", ["gold", "silver"], ["x", "silver"])
    with pytest.raises(
        InvalidInputError, match=r"a value of `predicted` and also a column.*predicted==gold"
    ):
        read_table([path], SAID)
    (run,), _ = read_table([path], EXPLICIT)
    assert run.samples[""].predictions.correct.tolist() == [False, True]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_columns_that_are_written_differently(tmp_path: Path, suffix: str) -> None:
    path = table(tmp_path, suffix, ["A", "B"], ["1", "2"])
    with pytest.raises(
        InvalidInputError, match="no value stands in both: `predicted` holds 'A', 'B' and"
    ):
        read_table([path], SAID)
    (run,), _ = read_table([table(tmp_path, suffix, ["A", "B"], ["B", "A"])], SAID)
    assert not run.samples[""].predictions.correct.any()  # they might have been equal


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_cell_is_no_wrong_answer(tmp_path: Path, suffix: str) -> None:
    path = table(tmp_path, suffix, ["A", None, "C"], ["A", "B", None])
    with pytest.raises(InvalidInputError, match="row 2: `predicted` and `gold` must not be empty"):
        read_table([path], SAID)
    (run,), (left_out,) = read_table([path], SAID, skip_bad=True)
    assert len(run.samples[""]) == 1 and "2 rows left out" in left_out


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    path = table(tmp_path, ".csv", ["A"], ["A"])
    with pytest.raises(UnknownNameError, match="`answer`"):
        read_table([path], Columns("p", "predicted", equal_to="answer"))
    with pytest.raises(InvalidInputError, match="no cell of `predicted` is 'answer'"):
        read_table([path], Columns("p", "predicted", "answer"))
