"""`lm-calib compare` as it is typed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from command import run

from lm_eval_calibration.errors import InvalidInputError


def test_table(runs: list[Path]) -> None:
    out = run("compare", *runs).stdout
    assert "step-1 against step-0 · toy, 60 documents" in out
    assert "step-2 against step-0 · toy, 60 documents" in out
    assert "documents only step-0 has right" in out
    assert "McNemar" in out
    accuracy = [text.split() for text in out.splitlines() if text.split()[:1] == ["acc"]]
    assert [words[-1] for words in accuracy] == ["*", "*"]
    long = run("compare", f"a-rather-long-label-of-a-run={runs[0]}", runs[1]).stdout
    header = next(text.split() for text in long.splitlines() if text.split()[:1] == ["metric"])
    assert header[1:3] == ["first", "second"]


def test_json_and_csv(runs: list[Path]) -> None:
    content = json.loads(run("compare", *runs, "--json", "--metrics", "acc,nll").stdout)
    assert content["left_out"] == []
    assert [c["second"] for c in content["comparisons"]] == ["step-1", "step-2"]
    accuracy, nll = content["comparisons"][1]["metrics"]
    assert accuracy["only_second_right"] > accuracy["only_first_right"]
    assert accuracy["difference"] == pytest.approx(
        accuracy["second_value"] - accuracy["first_value"]
    )
    assert nll["low"] <= nll["difference"] <= nll["high"]
    assert nll["p_value"] <= nll["p_holm"] <= 1
    rows = list(csv.DictReader(io.StringIO(run("compare", *runs, "--csv").stdout)))
    assert {row["second"] for row in rows} == {"step-1", "step-2"}
    assert "**step-1 against step-0" in run("compare", *runs, "--markdown").stdout


def test_refuses_when_documents_are_missing(runs: list[Path]) -> None:
    path = next(runs[1].glob("*.jsonl"))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[5:]))
    with pytest.raises(InvalidInputError, match=r"step-0: 5 of the 60 documents .*allow-partial"):
        run("compare", *runs)
    result = run("compare", *runs, "--allow-partial")
    assert "55 documents" in result.stdout
    assert "left out: step-0: 5 of the 60 documents" in " ".join(result.stderr.split())


def test_refuses_one_run_and_folders_of_several(runs: list[Path]) -> None:
    with pytest.raises(InvalidInputError, match="at least two runs"):
        run("compare", runs[0])
    with pytest.raises(InvalidInputError, match="holds several runs; name one"):
        run("compare", runs[0].parent, runs[1])


def test_trend(runs: list[Path], tmp_path: Path) -> None:
    drawn = run("compare", *runs, "--trend", tmp_path / "trend.svg").stdout.split()[-1]
    assert Path(drawn) == tmp_path / "trend.svg"
    text = Path(drawn).read_text()
    assert "toy" in text
    assert "over 3 runs" in text
