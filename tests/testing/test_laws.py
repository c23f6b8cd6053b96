"""The laws hold for our own members, and break where they are broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from logged_lines import NAME, line

from lm_eval_calibration.calibrators import METHODS, fit
from lm_eval_calibration.logs import FORMATS, read_runs
from lm_eval_calibration.logs.formats import HARNESS
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing import check_calibrator, check_format
from lm_eval_calibration.testing.formats import FOREIGN

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", METHODS)
def test_our_calibrators(name: str) -> None:
    check_calibrator(METHODS[name], helps=name not in ("resoftmax", "prior"), cases=3)


def test_the_harness_s_logs(tmp_path: Path) -> None:
    for model in ("org__a", "org__b"):
        path = tmp_path / model / NAME
        path.parent.mkdir()
        path.write_text("".join(json.dumps(line(i, doc_hash=None)) + "\n" for i in range(30)))
    own = "samples_arc_easy_2026-01-01T00-00-00.000001.jsonl"
    check_format(HARNESS, tmp_path, foreign=[name for name in FOREIGN if name != own])


def test_an_example(example: Any, scores: Path) -> None:
    check_calibrator(example.shrink.METHOD)
    check_format(example.scores_json.FORMAT, scores)


def test_what_is_added_is_a_member(example: Any, scores: Path) -> None:
    with FORMATS.added(example.scores_json.FORMAT):
        runs, _ = read_runs([scores])
        assert [run.label for run in runs] == ["a", "b"]
        assert set(runs[0].samples) == {"arc", "boolq"}
    with METHODS.added(example.shrink.METHOD):
        p = Predictions.from_options([[0.0, 9.0]] * 4, [1, 1, 1, 0])
        assert fit("shrink", p).transform(p).confidence == pytest.approx([0.75] * 4, abs=1e-4)
    assert "shrink" not in METHODS and "scores-json" not in FORMATS
