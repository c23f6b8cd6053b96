"""Tables that others published, as anybody would ask for them: each layout, through every command."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from command import run
from made_tables import GOLD, logits, write_tables

from lm_eval_calibration.cli.app import app
from lm_eval_calibration.cli.arguments.tables import Table
from lm_eval_calibration.cli.commands.fit import RECALIBRATORS
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.evaluate import evaluate
from lm_eval_calibration.predictions import Predictions

QUICK = ("--replicates", 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three layouts of the same beliefs of two models."""
    root = tmp_path_factory.mktemp("tables")
    write_tables(root)
    return root


LOGITS = ("--options", "Logit_{A..D}", "--gold", "gold", "--document", "question",
          "--model-from", "{model}/{task}_test.csv")  # fmt: skip
ANSWERS = ("--correct", "prediction=gold", "--model-from", "{model}.csv")
MARGIN = ("--score", "margin", *ANSWERS, "--document", "id")


def scores(*arguments: object) -> dict[tuple[str, str], dict[str, Any]]:
    content = json.loads(run("score", *arguments, *QUICK, "--json").stdout)
    return {(s["run"], s["name"]): s["metrics"] for s in content["scores"]}


def assert_figures(found: dict[str, Any], wanted: Predictions, names: list[str]) -> None:
    for name, estimate in evaluate(wanted, names, replicates=0).items():
        assert found[name]["value"] == pytest.approx(estimate.value, rel=1e-12), name


def test_logits_by_letter(folder: Path) -> None:
    found = scores(folder / "logits", *LOGITS)
    assert list(found) == [(m, t) for m in ("large", "small") for t in ("law", "marketing")]
    wanted = Predictions.from_options(logits("large")[:30], GOLD[:30].tolist())
    assert_figures(found["large", "law"], wanted, ["acc", "nll", "brier", "ece", "auroc"])


def test_probabilities_of_an_engine(folder: Path) -> None:
    columns = ("--options", "small_choice{A..D}_probs")
    path = folder / "results_small"
    said = run("score", path, *columns, "--gold", "5", *QUICK).stderr
    assert (
        "read as probs, because all are in [0, 1], and every row adds up to 1; --scale says" in said
    )
    by_path = ("--model-from", "results_{model}/{task}.csv")
    both = scores(path, *columns, "--gold", "5", "--correct", "small_correct", *by_path)
    wanted = Predictions.from_options(logits("small"), GOLD.tolist())
    assert_figures(both["small", "law"], wanted, ["acc", "nll", "ece"])
    verdict = scores(path, *columns, "--correct", "small_correct", *by_path)["small", "law"]
    assert verdict["acc"] == both["small", "law"]["acc"] and "nll" not in verdict


def test_answers_and_right_ones(folder: Path) -> None:
    result = run("score", folder / "answers", "--confidence", "confidence", *ANSWERS, *QUICK)
    assert (
        "and 1 more: an answer is right where the columns `prediction` and `gold` are"
        in result.stderr
    )
    found = scores(folder / "answers", "--confidence", "confidence", *ANSWERS)
    wanted = Predictions.from_options(logits("large"), GOLD.tolist())
    assert_figures(found["large", ""], wanted, ["acc", "ece", "auroc", "aurc"])


def test_models_of_tables_are_compared_and_ranked(folder: Path) -> None:
    together = ("compare", folder / "logits", *LOGITS, "--metrics", "acc,nll", "--replicates", 20)
    content = json.loads(run(*together, "--json").stdout)
    assert [(c["first"], c["second"], c["name"]) for c in content["comparisons"]] == [
        ("large", "small", "law"),
        ("large", "small", "marketing"),
    ]
    files = [folder / "answers" / f"{model}.csv" for model in ("small", "large")]
    stated = ("--confidence", "confidence", "--correct", "prediction=gold")
    shown = run("compare", *files, *stated, "--document", "id", "--replicates", 20).stdout
    assert "large against small · all documents, 60 documents" in shown
    with pytest.raises(InvalidInputError, match=r"Of a table name the column .*--document"):
        run("compare", *files, *stated)
    board = run("leaderboard", folder / "logits", *LOGITS, *QUICK)
    assert "2 models, mean of 2 tasks" in board.stdout and "not known" not in board.stderr


def test_scores_are_ranked_until_a_map_makes_probabilities_of_them(
    folder: Path, tmp_path: Path
) -> None:
    small, large = (folder / "answers" / f"{model}.csv" for model in ("small", "large"))
    asked = run("score", large, *MARGIN, "--metrics", "auroc,ece", *QUICK)
    assert (
        "its scores are no probabilities, so that metrics of calibration are withheld"
        in asked.stderr
    )
    assert "not scored: ece of large: its scores are no probabilities" in asked.stderr
    assert "auroc" in asked.stdout and "ece" not in asked.stdout
    board = run("leaderboard", folder / "answers", *MARGIN, *QUICK).stdout
    assert "aurc" in board and "ece" not in board
    found = run(
        "thresholds", "--fit", small, "--test", large, *MARGIN[:4], "--precision", "0.6", "--json"
    )
    assert json.loads(found.stdout)["thresholds"][0]["threshold"] > 0
    for command in ("diagram", "report"):
        with pytest.raises(InvalidInputError, match="holds scores, which are no probabilities"):
            run(
                command,
                large,
                *MARGIN,
                "-o",
                tmp_path / f"x.{'png' if command == 'diagram' else 'html'}",
            )
    fitted = run("fit", "platt", "--samples", small, *MARGIN[:4], "-o", tmp_path / "map")
    assert "platt, fitted on 60 documents\n" in fitted.stdout and "withheld" not in fitted.stderr
    mapped = run(
        "score", large, *MARGIN, "--calibrator", tmp_path / "map", "--metrics", "ece", *QUICK
    )
    assert "ece" in mapped.stdout and "withheld" not in mapped.stderr
    with pytest.raises(InvalidInputError, match="`temperature` needs probabilities"):
        run("fit", "temperature", "--samples", small, *MARGIN, "-o", tmp_path / "t")


def test_other_commands_take_tables(folder: Path, tmp_path: Path) -> None:
    small, large = (f"{model}={folder}/logits/{model}" for model in ("small", "large"))
    columns = (*LOGITS[:4], "--task-from", "{task}_test.csv")
    fitted = run("fit", "temperature", "--samples", small, *columns, "-o", tmp_path / "t").stdout
    assert "fitted on 60 documents of law, marketing: T = " in fitted
    told = run("ood", "--in", small, "--out", large, *columns, "--replicates", 20).stdout
    assert "told from law, marketing (60)" in told and "entropy" in told
    found = run(
        "thresholds", "--fit", small, "--test", large, *columns, "--precision", "0.5"
    ).stdout
    assert "marketing" in found
    assert "name: law" in run("card", large, *columns, *QUICK).stdout


ROOT: Any = typer.main.get_command(app)
READS = sorted(
    name
    for name, command in ROOT.commands.items()
    if "filter_name" in {p.name for p in command.params}
)
"""Commands that read runs; of `pools` and `beliefs` what no table has, of `sets` options alone."""
NO_TABLES = ("pools", "beliefs", "sets")


@pytest.mark.parametrize("name", [*(n for n in READS if n not in NO_TABLES), "ood", *RECALIBRATORS])
def test_every_command_that_reads_runs_has_the_options_of_tables(name: str) -> None:
    fits = name in RECALIBRATORS
    command = (ROOT.commands["fit"] if fits else ROOT).commands[name]
    wanted = {field.name for field in fields(Table)} - ({"model"} if fits else set())
    assert wanted <= {p.name for p in command.params}
