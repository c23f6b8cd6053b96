"""`lm-calib ood` as it is typed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from command import run
from logged_lines import NAME, line
from sklearn.metrics import roc_auc_score

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import read_runs

DRAWN = ("mutual_information", "expected_entropy", "disagreement")


def write(folder: Path, seed: int, spread: float, *, drawn: bool = True, options: int = 2) -> Path:
    """A run whose beliefs are as sure as `spread` says."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    lines = []
    for i in range(50):
        scores = [0.0, *(-abs(rng.normal(0, spread, options - 1)))]
        number = 1000 * seed + i
        logged = line(number, scores=scores, texts=list("abcde"[:options]))
        logged["doc_hash"] = f"{number:016x}" * 4
        if drawn:
            logged |= {name: float(rng.uniform()) for name in DRAWN}
        lines.append(json.dumps(logged))
    (folder / NAME).write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "arc", 1, 4.0), write(tmp_path / "law", 2, 1.0)


def test_table(pair: tuple[Path, Path]) -> None:
    out = run("ood", "--in", pair[0], "--out", pair[1]).stdout
    assert "toy (50 documents) told from toy (50)" in out
    rows = [text.split()[0] for text in out.splitlines() if text.strip()]
    for name in ("entropy", "max_probability", *DRAWN, "no"):
        assert name in rows
    assert "AUPR, in" in out and "bootstrap" in out


def test_json_csv_markdown(pair: tuple[Path, Path]) -> None:
    said = json.loads(run("ood", "--in", pair[0], "--out", pair[1], "--json").stdout)
    assert said["in"]["documents"] == said["out"]["documents"] == 50
    (inside, outside), _ = read_runs([str(path) for path in pair])
    confidence = [next(iter(r.samples.values())).predictions.confidence for r in (inside, outside)]
    expected = roc_auc_score([0] * 50 + [1] * 50, 1 - np.concatenate(confidence))
    found = said["scores"]["max_probability"]["auroc"]
    assert found["value"] == pytest.approx(expected)
    assert found["low"] < found["value"] < found["high"]
    rows = list(
        csv.DictReader(io.StringIO(run("ood", "--in", pair[0], "--out", pair[1], "--csv").stdout))
    )
    assert [row["score"] for row in rows] == ["entropy", "max_probability", *DRAWN]
    assert float(rows[1]["auroc"]) == pytest.approx(expected)
    assert float(rows[0]["mean_out"]) > float(rows[0]["mean_in"])
    markdown = run("ood", "--in", pair[0], "--out", pair[1], "--markdown").stdout
    assert "| no skill |" in markdown


def test_runs_without_draws_have_two_scores(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    plain = write(tmp_path / "plain", 3, 1.0, drawn=False)
    said = json.loads(run("ood", "--in", pair[0], "--out", plain, "--json").stdout)
    assert list(said["scores"]) == ["entropy", "max_probability"]


def test_what_makes_figures_doubtful_is_said(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    more = write(tmp_path / "more", 4, 1.0, options=5)
    said = run("ood", "--in", pair[0], "--out", more).stderr
    assert "2 options in one run and 5 in the other" in said
    assert "50 document(s) are in both runs" in run("ood", "--in", pair[0], "--out", pair[0]).stderr


def test_what_is_refused(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    with pytest.raises(InvalidInputError, match=r"`--out` must be one run, got 2: "):
        run("ood", "--in", pair[0], "--out", tmp_path)
    alone = write(tmp_path / "alone", 5, 1.0, drawn=False)
    file = alone / NAME
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    for one in lines:
        one |= {"filtered_resps": ["x"], "ece": [0.5, 1], "arguments": {}}
    file.write_text("\n".join(map(json.dumps, lines)) + "\n")
    with pytest.raises(InvalidInputError, match=r"one has entropy.*, the other confidence"):
        run("ood", "--in", pair[0], "--out", alone)
    said = json.loads(run("ood", "--in", alone, "--out", alone, "--json").stdout)["scores"]
    assert list(said) == ["confidence"] and said["confidence"]["auroc"]["value"] == 0.5


def test_scores_are_ranked_as_they_are(tmp_path: Path) -> None:
    for name, scores in (("in", "5 3 4"), ("out", "-1 2 3.5")):
        rows = "".join(f"{score},1\n" for score in scores.split())
        (tmp_path / f"{name}.csv").write_text("s,right\n" + rows)
    table = ["--score", "s", "--correct", "right"]
    found = run("ood", "--in", tmp_path / "in.csv", "--out", tmp_path / "out.csv", *table, "--json")
    assert json.loads(found.stdout)["scores"]["score"]["auroc"]["value"] == pytest.approx(8 / 9)
