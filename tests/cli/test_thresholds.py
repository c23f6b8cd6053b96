"""`lm-calib thresholds` as it is typed."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from command import run
from logged_lines import NAME, line

from lm_eval_calibration.calibrators.held_out import SeenDocumentsError
from lm_eval_calibration.errors import InvalidInputError


def write(folder: Path, seed: int, *, texts: str = "ab") -> Path:
    """A calibrated model's run on 400 documents."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    lines = []
    for i in range(400):
        logit = rng.normal(0, 2)
        gold = int(rng.random() > 1 / (1 + np.exp(-logit)))
        logged = line(
            1000 * seed + i, scores=[logit - 20, -20.0], texts=list(texts), target=str(gold)
        )
        logged["doc_hash"] = f"{1000 * seed + i:016x}" * 4
        lines.append(json.dumps(logged))
    (folder / NAME).write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write(tmp_path / "one", 1), write(tmp_path / "two", 2)


def test_answers(pair: tuple[Path, Path]) -> None:
    arguments = ("thresholds", "--fit", pair[0], "--test", pair[1], "--precision", 0.9)
    (row,) = json.loads(run(*arguments, "--json").stdout)["thresholds"]
    assert row["accepted"] == "any answer" and row["wanted"] == 0.9
    assert row["fitted_precision"] >= 0.9 and 0.5 < row["threshold"] < 0.95
    assert row["test_low"] < 0.9 < row["test_high"]
    out = run(*arguments).stdout
    assert "toy, chosen on 400 documents, tested on 400" in out
    assert re.search(r"0\.90 +0\.\d{3} +0\.9\d\d +\d+ \(\d+%\)", out)
    assert max(map(len, out.split("\n\n")[0].splitlines())) <= 80


def test_options(pair: tuple[Path, Path]) -> None:
    arguments = ("thresholds", "--fit", pair[0], "--test", pair[1], "--by-option")
    rows = list(csv.DictReader(io.StringIO(run(*arguments, "--csv").stdout)))
    assert [(r["accepted"], r["wanted"]) for r in rows] == [
        (name, wanted) for name in "ab" for wanted in ("0.8", "0.9", "0.95")
    ]
    assert "| toy | a | 0.80 |" in run(*arguments, "--markdown").stdout
    impossible = run(*arguments[:-1], "--precision", 1.0).stdout
    assert "not reached" in impossible or "1.000" in impossible


def test_what_is_refused(pair: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"400 document\(s\) of `toy` are in both runs"):
        run("thresholds", "--fit", pair[0], "--test", pair[0])
    other = tmp_path / "other"
    other.mkdir()
    (other / NAME.replace("toy", "law")).write_text((pair[1] / NAME).read_text())
    with pytest.raises(InvalidInputError, match="no task in common"):
        run("thresholds", "--fit", pair[0], "--test", other)


def test_in_the_report(pair: tuple[Path, Path], tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    run("report", pair[1], "--thresholds", pair[0], "--output", page, "--replicates", 20)
    assert '<th scope="row" class="words">any answer</th>' in page.read_text()
    with pytest.raises(InvalidInputError, match="are in both runs"):
        run("report", pair[1], "--thresholds", pair[1], "--output", page)


def test_a_calibrator_of_the_same_documents_is_fitted_anew(
    pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Thresholds are chosen on beliefs that no document had a part in; a promise wants other documents."""
    one, other = pair
    run("fit", "temperature", "--samples", one, "--output", tmp_path / "ts")
    arguments = ("thresholds", "--fit", one, "--test", other, "--calibrator", tmp_path / "ts")
    told = run(*arguments, "--precision", 0.9, "--json")
    assert "mapped crosswise, each fifth of its documents by temperature" in told.stderr
    (row,) = json.loads(told.stdout)["thresholds"]
    (plain,) = json.loads(run(*arguments[:5], "--precision", 0.9, "--json").stdout)["thresholds"]
    assert row["threshold"] == pytest.approx(plain["threshold"], abs=0.1)
    assert row["test_number"] == round(row["test_share"] * 400)
    with pytest.raises(SeenDocumentsError):
        run(*arguments, "--risk", 0.1)
    with pytest.raises(SeenDocumentsError):
        run("thresholds", "--fit", other, "--test", one, "--calibrator", tmp_path / "ts")


def test_why_a_promise_cannot_be_made(pair: tuple[Path, Path]) -> None:
    out = run("thresholds", "--fit", pair[0], "--test", pair[1], "--risk", 0.001).stdout
    assert "not reached" in out and "It takes 2,995 sure answers without an error" in " ".join(
        out.split()
    )
