"""A run's own table and its documents: both figures where they differ, nothing where they do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from logged_lines import NAME, line

from lm_eval_calibration.logs import read_runs

RIGHT = 0.6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [line(i, scores=[-1.0, -2.0 if i < 6 else -0.5]) for i in range(10)]
    (tmp_path / NAME).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def notes(folder: Path, results: Any) -> list[str]:
    path = folder / NAME.replace("samples_toy", "results").replace(".jsonl", ".json")
    path.write_text(json.dumps({"model_name": "m", **results}))
    (run,), _ = read_runs([folder])
    assert run.samples["toy"].predictions.correct.mean() == RIGHT
    return [note for note in run.samples["toy"].notes if "the run printed" in note]


def test_a_difference_is_said_with_both_figures(folder: Path) -> None:
    (note,) = notes(folder, {"results": {"toy": {"acc,none": 0.4306}}})
    assert "0.4306" in note and "0.6000" in note
    assert notes(folder, {"results": {"toy": {"acc,none": RIGHT}}}) == []


@pytest.mark.parametrize(
    "results",
    [
        {},
        {"results": []},
        {"results": {"toy": 5}},
        {"results": {"toy": {"acc,none": "N/A"}}},
        {"results": {"toy": {"acc,none": True}}},
        {"results": {"other": {"acc,none": 0.1}}},
        {"results": {"toy": {"acc,none": 0.1}}, "n-samples": {"toy": {"effective": 1172}}},
        {"results": {"toy": {"acc_norm,none": 0.1}}},
    ],
)
def test_nothing_is_said_where_nothing_can_be_compared(folder: Path, results: Any) -> None:
    assert notes(folder, results) == []
