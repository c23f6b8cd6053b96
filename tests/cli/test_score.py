"""`lm-calib score` as it is typed: what it prints, in every format, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from command import run
from logged_lines import NAME, line

from lm_eval_calibration.errors import InvalidInputError, UnknownNameError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tasks of one run, and the group that the harness's results say they form."""
    gold = [0, 0, 1, 0, 0, 1, 0, 0]
    for task in ("x", "y"):
        lines = [
            json.dumps(line(i, target=str(g), scores=[-1.0, -1.5 - 0.1 * i]))
            for i, g in enumerate(gold)
        ]
        (tmp_path / NAME.replace("toy", task)).write_text("\n".join(lines) + "\n")
    results = tmp_path / NAME.replace("samples_toy", "results").replace("jsonl", "json")
    results.write_text(json.dumps({"group_subtasks": {"both": ["x", "y"]}, "model_name": "m"}))
    return tmp_path


def test_table(folder: Path) -> None:
    out = run("score", folder, "--replicates", 100).stdout
    assert "both (2 tasks pooled), 16 documents" in out
    assert "mean of tasks: weighted by size" in out
    lines = [text.split() for text in out.splitlines()]
    accuracies = [words for words in lines if words[:1] == ["acc"]]
    assert [words[2] for words in accuracies] == ["0.7500"] * 3
    assert ["ece", "↓"] in [words[:2] for words in lines]
    assert "…" not in out  # nothing is cut off


def test_json(folder: Path) -> None:
    content = json.loads(run("score", folder, "--replicates", 100, "--json").stdout)
    assert set(content) == {"lm_eval_calibration", "scores"}
    group, x, y = content["scores"]
    assert group["pooled"] == ["x", "y"]
    assert (group["name"], group["documents"], x["name"], y["name"]) == ("both", 16, "x", "y")
    assert x["run"] == "m"
    assert x["files"] == [str(folder / NAME.replace("toy", "x"))]
    figures = x["metrics"]["ece"]
    low, high = figures["interval"]
    assert low <= figures["value"] <= high
    assert figures["null"]["interval"][0] <= figures["null"]["mean"]
    assert figures["higher_is_better"] is False
    assert group["metrics"]["ece"]["mean_of_tasks"]["value"] == pytest.approx(figures["value"])
    assert group["metrics"]["ece"]["macro"]["stderr"] > 0


def test_csv_and_markdown(folder: Path) -> None:
    rows = list(
        csv.DictReader(io.StringIO(run("score", folder, "--replicates", 100, "--csv").stdout))
    )
    assert {row["name"] for row in rows} == {"both", "x", "y"}
    nll = next(row for row in rows if row["name"] == "x" and row["metric"] == "nll")
    assert float(nll["low"]) < float(nll["value"]) < float(nll["high"])
    assert nll["mean_of_tasks"] == ""
    markdown = run("score", folder, "--markdown", "--metrics", "acc,auroc").stdout
    assert "| acc | ↑ | 0.7500 |" in markdown
    with pytest.raises(InvalidInputError, match="Give one of --json, --csv"):
        run("score", folder, "--json", "--csv")


def test_metrics_in_the_order_asked_for(folder: Path) -> None:
    content = json.loads(run("score", folder, "--json", "--metrics", "auroc, acc,ece_null").stdout)
    assert list(content["scores"][1]["metrics"]) == ["auroc", "acc", "ece_null"]
    with pytest.raises(UnknownNameError, match="Did you mean `ece`"):
        run("score", folder, "--metrics", "eces")


def test_what_cannot_be_had_is_said(folder: Path) -> None:
    result = run("score", folder, "--metrics", "acc,ece_norm")
    assert "ece_norm of x: the run logs no `acc_norm`" in " ".join(result.stderr.split())
    assert "ece_norm" not in result.stdout


def test_undefined_and_infinite_figures_are_strict_json(tmp_path: Path) -> None:
    path = tmp_path / NAME
    never = line(0, target="1", scores=[0.0, -float("inf")])
    path.write_text(json.dumps(never) + "\n" + json.dumps({**never, "doc_id": 1}) + "\n")
    metrics = json.loads(run("score", path, "--json").stdout)["scores"][0]["metrics"]
    assert metrics["nll"]["value"] == "Infinity"
    assert metrics["auroc"]["value"] is None
    table = run("score", path, "--metrics", "nll,auroc").stdout
    assert "∞" in table


def test_skip_bad_counts(folder: Path) -> None:
    path = folder / NAME.replace("toy", "x")
    with path.open("a") as file:
        file.write('{"doc_id": 99')
    with pytest.raises(InvalidInputError, match="line 9: the line is cut off"):
        run("score", path)
    result = run("score", path, "--skip-bad", "--json")
    assert "1 line left out" in result.stderr
    assert "1 line left out" in json.loads(result.stdout)["scores"][0]["notes"][0]


def test_tables_of_confidences(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("p,grade,who\n0.9,good,a\n0.8,bad,a\n0.7,good,b\n0.6,good,b\n")
    table = ("--confidence", "p", "--correct", "grade=good")
    content = json.loads(run("score", path, *table, "--model", "who", "--json").stdout)
    assert [(s["run"], s["metrics"]["acc"]["value"]) for s in content["scores"]] == [
        ("a", 0.5),
        ("b", 1.0),
    ]
    assert "nll" not in content["scores"][0]["metrics"]
    kept = run("score", path, *table, "--where", "who=a", "--where", "who=b", "--json")
    assert json.loads(kept.stdout)["scores"][0]["documents"] == 4
    assert "all documents, 4 documents" in run("score", path, *table).stdout
    for arguments, message in (
        (("--confidence", "p"), "needs both --confidence and --correct"),
        (("--model", "who"), "`--model` names a column of a table: give --confidence or"),
        ((*table, "--where", "who"), "`--where` must be COLUMN=VALUE, got `who`"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            run("score", path, *arguments)


@pytest.mark.exhaustive
def test_published_aurocs_through_the_command(data_folder: Path) -> None:
    """Plaut, Nguyen and Trinh's AUROCs of softmax confidences, to 1e-3, as anybody would ask."""
    pd = pytest.importorskip("pandas")
    logs = data_folder / "confidence_logs"
    published = pd.read_csv(logs / "published_auroc.csv")
    wanted = published[published["logit_kind"] == "norm"]
    compared = 0
    for wording in ("first", "second"):
        arguments: list[Any] = ["--confidence", "confidence", "--correct", "grade=Correct"]
        arguments += ["--model", "model", "--task", "dataset", "--where", "logit_kind=norm"]
        arguments += ["--where", f"prompt_wording={wording}", "--metrics", "auroc"]
        table = logs / "confidences.parquet"
        scores = json.loads(run("score", table, *arguments, "--json").stdout)["scores"]
        found = {(s["run"], s["name"]): s["metrics"]["auroc"]["value"] for s in scores}
        for row in wanted[wanted["prompt_wording"] == wording].itertuples():
            assert found[row.model, row.dataset] == pytest.approx(row.sample_auroc, abs=1e-3)
            compared += 1
    assert compared == len(wanted) > 30


def test_a_run_in_which_nothing_was_answered_says_so(tmp_path: Path) -> None:
    table = tmp_path / "none.csv"
    table.write_text("p,ok\n" + "0,0\n" * 12)
    out = run("score", table, "--confidence", "p", "--correct", "ok").stdout
    assert "nothing was answered" in out and "mean nothing" in " ".join(out.split())
    table.write_text("p,ok\n" + "0,0\n" * 12 + "0.5,0\n")
    assert (
        "nothing was answered"
        not in run("score", table, "--confidence", "p", "--correct", "ok").stdout
    )
