"""Whose rows they are, and of which documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lm_eval_calibration.analysis.document_pairing import match
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import document_hash
from lm_eval_calibration.logs.formats.tables import Columns, read_table

PLAIN = Columns("p", "ok")


def table(path: Path, **columns: Any) -> Path:
    frame = {"p": [0.1, 0.2, 0.3], "ok": [0, 1, 1], "id": [3, 1, 2], **columns}
    pd.DataFrame(frame).to_csv(path, index=False)
    return path


def test_paths_apart_and_together(tmp_path: Path) -> None:
    a, b = table(tmp_path / "a.csv"), table(tmp_path / "b.csv")
    labels = [run.label for run in read_table([a, b], PLAIN, apart=True)[0]]
    assert labels == ["a", "b"]
    (tmp_path / "v1.2").mkdir()
    table(tmp_path / "v1.2" / "c.csv")
    runs, _ = read_table([f"{tmp_path}/*.csv", tmp_path / "v1.2"], PLAIN, apart=True)
    assert [run.label for run in runs] == ["a", "b", "v1.2"]
    (run,), _ = read_table([a, b], PLAIN)
    assert (run.label, len(run.samples[""])) == ("", 6)
    runs, _ = read_table([f"x={a}", f"y={a}"], PLAIN, apart=True)
    assert [run.label for run in runs] == ["x", "y"]


def test_a_label_picks_a_model_or_names_the_only_one(tmp_path: Path) -> None:
    path = table(tmp_path / "t.csv", who=["ada", "ada", "bob"])
    columns = Columns("p", "ok", run="who")
    (run,), _ = read_table([f"bob={path}"], columns)
    assert (run.label, len(run.samples[""])) == ("bob", 1)
    with pytest.raises(InvalidInputError, match="holds several models; name one: ada, bob"):
        read_table([f"eve={path}"], columns)
    one = table(tmp_path / "o.csv", who=["ada"] * 3)
    assert read_table([f"eve={one}"], columns)[0][0].label == "eve"
    with pytest.raises(InvalidInputError, match=r"both hold the run `ada`: name each, as first="):
        read_table([path, one], columns, apart=True)
    assert [run.label for run in read_table([path, one], columns)[0]] == ["ada", "bob"]


def test_documents_pair_rows_whatever_their_order_and_file(tmp_path: Path) -> None:
    columns = Columns("p", "ok", document="id")
    one = table(tmp_path / "one.csv")
    other = tmp_path / "other.jsonl"
    rows = [
        {"p": 0.9, "ok": 1, "id": 1.0},
        {"p": 0.8, "ok": 0, "id": 2},
        {"p": 0.7, "ok": 0, "id": "3"},
    ]
    other.write_text("".join(json.dumps(row) + "\n" for row in rows))
    runs, _ = read_table([one, other], columns, apart=True)
    matched = match(runs)
    confidences = [run.samples[""].predictions.confidence.tolist() for run in matched.runs]
    assert confidences == [[0.1, 0.2, 0.3], [0.7, 0.9, 0.8]]
    with pytest.raises(InvalidInputError, match="--document COLUMN"):
        match(read_table([one, other], PLAIN, apart=True)[0])


def test_a_document_as_the_harness_has_it_has_its_hash(tmp_path: Path) -> None:
    document = {"question": "Is ice cold?", "answer": 1}
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"p": 0.5, "ok": 1, "doc": document}))
    (run,), _ = read_table([path], Columns("p", "ok", document="doc"))
    assert run.samples[""].doc_hash.tolist() == [document_hash(document)]


def test_documents_that_are_missing_or_stand_twice(tmp_path: Path) -> None:
    columns = Columns("p", "ok", document="id")
    path = table(tmp_path / "t.csv", id=["x", None, "x"])
    with pytest.raises(InvalidInputError, match="row 2: `id` is empty"):
        read_table([path], columns)
    (run,), (left_out,) = read_table([path], columns, skip_bad=True)
    samples = run.samples[""]
    assert samples.predictions.confidence.tolist() == [0.1, 0.3] and "1 row left out" in left_out
    assert len(np.unique(samples.doc_hash)) == 1
    assert samples.notes == (
        "1 row has a document that stood before: such are paired in their order",
    )


@pytest.mark.parametrize("column", ["run", "task"])
def test_rows_of_no_model_are_not_dropped_in_silence(tmp_path: Path, column: str) -> None:
    path = table(tmp_path / "t.csv", who=["ada", None, "ada"])
    columns = Columns("p", "ok", **{column: "who"})
    with pytest.raises(InvalidInputError, match="row 2: `who` is empty"):
        read_table([path], columns)
    (run,), (left_out,) = read_table([path], columns, skip_bad=True)
    assert len(next(iter(run.samples.values()))) == 2 and "1 row left out" in left_out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "by one of --confidence, --score and --options, got none of them"),
        ({"confidence": "p", "score": "s"}, "got --confidence and --score"),
        ({"score": "s"}, "A table of scores needs both --score and --correct"),
        ({"confidence": "p", "correct": "c", "gold": "g"}, "--gold goes with --options"),
        ({"options": "{A..B}"}, "A table with --options needs --gold"),
        ({"options": "{A..B}", "gold": "g", "scale": "prob"}, "`--scale` must be one of logits"),
        ({"confidence": "p", "correct": "c", "run": "m", "run_from": "{model}"}, "--model or --model-from"),
        ({"confidence": "p", "correct": "c", "task_from": "{model}"}, r"`--task-from` must be with \{task\}"),
        ({"options": "{A..B}", "gold": "g", "first_gold": 2}, "`--gold` must be COLUMN, COLUMN=0"),
    ],
)  # fmt: skip
def test_columns_that_do_not_go_together(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Columns(**given)
