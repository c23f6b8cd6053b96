"""`lm-calib leaderboard` and `card` as they are typed."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from command import run

from lm_eval_calibration.errors import InvalidInputError, OutputError

FEW = ("--replicates", 50)


def test_every_form_says_the_same(runs: list[Path]) -> None:
    content = json.loads(run("leaderboard", *runs, *FEW, "--json").stdout)["leaderboard"]
    assert [m["model"] for m in content["models"]] == ["step-2", "step-1", "step-0"]
    assert content["tasks"] == {"toy": 60} and content["by"] == "acc"
    rows = list(csv.DictReader(io.StringIO(run("leaderboard", *runs, *FEW, "--csv").stdout)))
    best = content["models"][0]["metrics"]
    mine = {row["metric"]: row for row in rows if row["model"] == "step-2"}
    assert set(mine) == set(best) == {"acc", "nll", "brier", "ece", "auroc"}
    for name, figure in best.items():
        assert float(mine[name]["value"]) == figure["value"]
        assert figure["low"] <= figure["value"] <= figure["high"]
    table = run("leaderboard", *runs, *FEW).stdout
    assert f"{best['acc']['value']:.3f}" in table and "ranked by acc" in table
    markdown = run("leaderboard", *runs, *FEW, "--markdown").stdout
    assert markdown.count("| step-") == 3 and f"{best['nll']['value']:.4f}" in markdown


def test_page_and_records(runs: list[Path], tmp_path: Path) -> None:
    page, records = tmp_path / "out" / "page.html", tmp_path / "records"
    out = run(
        "leaderboard", *runs, *FEW, "-o", page, "--every-eval-ever", records,
        "--organization", "Mine", "--metrics", "acc,ece", "--json",
    )  # fmt: skip
    json.loads(out.stdout)  # (where the files are is said on stderr)
    assert str(page) in out.stderr and str(records) in out.stderr
    assert "3 models, toy, 60 documents; ranked by acc" in page.read_text(encoding="utf-8").lower()
    found = [json.loads(path.read_text()) for path in records.rglob("*.json")]
    assert sorted(record["model_info"]["name"] for record in found) == [
        "step-0",
        "step-1",
        "step-2",
    ]
    assert {r["source_metadata"]["source_organization_name"] for r in found} == {"Mine"}


def test_nothing_is_read_before_the_page_is_known_to_fit(tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    page.write_text("mine")
    with pytest.raises(OutputError, match=r"mine\.html"):
        run("leaderboard", "nowhere", "nowhere-else", "-o", page)
    with pytest.raises(OutputError, match="no folder"):
        run("leaderboard", "nowhere", "nowhere-else", "--every-eval-ever", page)


def test_a_card_is_printed_and_added_to(runs: list[Path], tmp_path: Path) -> None:
    printed = yaml.safe_load(run("card", runs[0], *FEW).stdout)
    (model,) = printed["model-index"]
    assert model["name"] == "step-0"
    (result,) = model["results"]
    assert [m["name"] for m in result["metrics"]] == ["acc", "nll", "brier", "ece", "auroc"]
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit  # ours\n---\n# Model\n")
    assert str(card) in run("card", runs[0], *FEW, "--add", card).stdout
    head, body = card.read_text().removeprefix("---\n").split("---\n")
    assert body == "# Model\n" and "license: mit  # ours" in head
    assert yaml.safe_load(head)["model-index"] == printed["model-index"]


def test_a_card_is_of_one_model(runs: list[Path]) -> None:
    with pytest.raises(InvalidInputError, match="one model's run"):
        run("card", *runs, *FEW)
