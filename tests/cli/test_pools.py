"""`lm-calib pools`, and the other commands, on a generation run of two filters."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from command import run

from lm_eval_calibration.errors import InvalidInputError


def live(folder: Path, name: str) -> float:
    """What the run itself printed."""
    (path,) = folder.rglob("results_*.json")
    return float(json.loads(path.read_text())["results"]["calib_toy_filters"][name])


def lines(folder: Path, filter_name: str) -> list[dict]:
    (path,) = folder.rglob("samples_*.jsonl")
    read = [json.loads(text) for text in path.read_text().splitlines()]
    return [sample for sample in read if sample["filter"] == filter_name]


@pytest.mark.parametrize("name", ["strict", "plain"])
def test_the_figures_of_the_live_run(generated_folder: Path, name: str) -> None:
    out = run("pools", generated_folder, "--filter", name, "--json", "--replicates", 400)
    (said,) = json.loads(out.stdout)["pools"]
    assert said["filter"] == name and said["documents"] == 40 and said["candidates"] == [4]
    for figure in ("gen", "disc", "dg_diff", "majority", "oracle", "worst", "norm_gain"):
        found = said["figures"][figure]
        assert found["value"] == pytest.approx(live(generated_folder, f"{figure},{name}"))
        assert found["low"] <= found["value"] <= found["high"]
        stderr = live(generated_folder, f"{figure}_stderr,{name}")
        assert found["stderr"] == pytest.approx(stderr, rel=0.25)
    samples = [sample["envelopes"] for sample in lines(generated_folder, name)]
    picked = [s["scores"][s["picks"][0]] - s["scores"][0] for s in samples]
    gained, lost = picked.count(1), picked.count(-1)
    assert said["mcnemar"]["gained"] == gained and said["mcnemar"]["lost"] == lost
    assert said["mcnemar"]["z"] == pytest.approx((gained - lost) / np.sqrt(gained + lost))
    assert 0 < said["dg_diff_p_value"] <= 1
    places = [o.index(p) for s in samples for p, o in zip(s["picks"], s["orders"], strict=True)]
    assert said["places"] == pytest.approx([places.count(k) / 160 for k in range(4)])


def test_table_csv_markdown(generated_folder: Path) -> None:
    found = run("pools", generated_folder)
    assert "(strict): 40 documents with 4 candidates" in found.stdout
    assert "Places of the picks: 1: " in found.stdout
    assert "McNemar, one-sided" in found.stdout and "paired bootstrap" in found.stdout
    assert "not those of plain (40); --filter chooses" in found.stderr
    rows = list(csv.DictReader(io.StringIO(run("pools", generated_folder, "--csv").stdout)))
    assert [r["figure"] for r in rows][:4] == ["gen", "disc", "disc_lenient", "dg_diff"]
    assert "| dg_diff | disc - gen |" in run("pools", generated_folder, "--markdown").stdout


def test_other_commands_read_one_filter(generated_folder: Path, tmp_path: Path) -> None:
    for name in ("strict", "plain"):
        out = run("score", generated_folder, "--filter", name, "--metrics", "ece", "--json").stdout
        (said,) = json.loads(out)["scores"]
        expected = live(generated_folder, f"ece,{name}")
        assert said["documents"] == 40
        assert said["metrics"]["ece"]["value"] == pytest.approx(expected)
    assert "read are the lines of filter strict" in run("score", generated_folder).stderr
    page = tmp_path / "report.html"
    run("report", generated_folder, "-o", page, "--replicates", 50)
    text = page.read_text()
    assert "Candidates" in text and "McNemar, one-sided" in text and "dg_diff" in text
    assert "over-confident wrong answer" in text and "What is item" in text
    with pytest.raises(
        InvalidInputError, match="`--filter` must be a filter that the files name \\(`st"
    ):
        run("score", generated_folder, "--filter", "loose")


def test_what_is_refused(generated_folder: Path, run_without_pools: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="No pools of candidates were logged"):
        run("pools", run_without_pools)
    with pytest.raises(
        InvalidInputError, match="`--filter` must be one that was logged, as strict"
    ):
        run("pools", generated_folder, "--filter", "loose")
    damaged = lines(generated_folder, "strict")[:3]
    damaged[1]["envelopes"]["picks"] = [9]
    path = tmp_path / "samples_toy_2026-01-02T03-04-05.678901.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in damaged))
    with pytest.raises(InvalidInputError, match="line 2: a damaged `envelopes` entry"):
        run("pools", path)


@pytest.fixture
def run_without_pools(tmp_path: Path) -> Path:
    from logged_lines import NAME, line

    path = tmp_path / "plain" / NAME
    path.parent.mkdir()
    path.write_text("".join(json.dumps(line(i)) + "\n" for i in range(4)))
    return path
