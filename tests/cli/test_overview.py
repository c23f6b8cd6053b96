"""Many tasks are a row each, in `score` and in `compare`, and whoever wants everything is told how to get it."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from command import run
from kinds import kinds
from logged_lines import NAME, line

from lm_eval_calibration.cli import overview
from lm_eval_calibration.cli.formats import OutputFormat

FEWER = 3
TASKS = [f"a_task_with_quite_a_long_name_{i}" for i in range(FEWER)]
FEW = ("--replicates", 20)
FIGURE = re.compile(r"-?\d\.\d{3,4}(?!\d)")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models' runs of three tasks, which form a group."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    for model in ("one", "two"):
        here = folder / model
        here.mkdir()
        for task in TASKS:
            scores = -rng.exponential(size=(8, 2))
            lines = [json.dumps(line(i, scores=scores[i].tolist())) for i in range(8)]
            (here / NAME.replace("toy", task)).write_text("\n".join(lines) + "\n")
        results = here / NAME.replace("samples_toy", "results").replace("jsonl", "json")
        results.write_text(json.dumps({"group_subtasks": {"all": TASKS}, "model_name": model}))
    return [folder / "one", folder / "two"]


@pytest.fixture(autouse=True)
def three_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests are quick."""
    monkeypatch.setattr(overview, "MANY", FEWER)


def test_a_dozen_have_tables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert not overview.is_wanted(12, OutputFormat.TABLE, 5, 8)
    assert overview.is_wanted(13, OutputFormat.TABLE, 5, 8)
    assert not overview.is_wanted(13, OutputFormat.CSV, 5, 8)


def rows_of(text: str) -> list[list[str]]:
    return [words for words in map(str.split, text.splitlines()) if words[:1] and words[0] in TASKS]


def test_score(many: list[Path]) -> None:
    out = run("score", *many, *FEW).stdout
    assert [words[0] for words in rows_of(out)] == [*TASKS, *TASKS]
    assert out.count("all (3 tasks pooled)") == 2
    assert out.index("all (3 tasks pooled)") < out.index(TASKS[0])
    assert "one, 3 tasks, 24 documents" in out
    assert all(len(FIGURE.findall(" ".join(words))) >= 3 for words in rows_of(out))
    told = " ".join(out.split())
    assert "--all prints every metric" in told and "`lm-calib leaderboard`" in told


def test_what_the_score_promises(many: list[Path]) -> None:
    """`--all`, `--metrics`, `--json` and `--csv` do what the overview says of them."""
    everything = run("score", *many, *FEW, "--metrics", "acc,nll", "--all").stdout
    assert "if calibrated" in everything and everything.count("mean of tasks") >= 2
    chosen = run("score", *many, *FEW, "--metrics", "ace,acc").stdout.splitlines()
    assert chosen[1].split() == ["task", "documents", "ace", "↓", "acc", "↑"]
    content = json.loads(run("score", many[0], *FEW, "--json").stdout)["scores"]
    assert len(content) == FEWER + 1 and "interval" in content[0]["metrics"]["smece"]
    rows = csv.DictReader(io.StringIO(run("score", many[0], *FEW, "--csv").stdout))
    assert {row["metric"] for row in rows} >= {"smece", "aurc"}
    alone = run("score", many[0], *FEW, "--markdown").stdout
    assert f"| {TASKS[0]} | 8 |" in alone and "leaderboard" not in alone


def test_few_tasks_keep_their_tables(many: list[Path]) -> None:
    out = run("score", many[0] / NAME.replace("toy", TASKS[0]), *FEW).stdout
    assert "95 % interval" in out and "--all" not in out


def test_what_cannot_be_had_is_said_once(many: list[Path]) -> None:
    said = run("score", many[0], *FEW, "--metrics", "acc,ece_norm", "--all").stderr
    assert f"ece_norm of {TASKS[2]}: the" in said
    both = run("score", *many, *FEW, "--metrics", "acc,ece_norm").stderr
    assert "and 5 more: the run logs no `acc_norm`" in both


@pytest.mark.parametrize("command", ["score", "compare"])
@pytest.mark.parametrize("width", kinds(["80", "120"], few=["80"]))
def test_nothing_is_cut_off(
    many: list[Path], command: str, width: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a terminal names go on in the next line, and no figure is lost."""
    wide = run(command, *many, *FEW).stdout
    monkeypatch.setenv("COLUMNS", width)
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = re.sub(r"\x1b\[[\d;]*m", "", run(command, *many, *FEW).stdout)
    assert FIGURE.findall(shown) == FIGURE.findall(wide)
    assert max(map(len, shown.splitlines())) <= int(width)
    assert "…" not in shown


def test_compare(many: list[Path]) -> None:
    out = run("compare", *many, *FEW).stdout
    assert "two against one · 3 tasks, 24 documents" in out
    rows = rows_of(out)
    assert len(rows) == FEWER and all(words.count("[") == 0 for words in rows)
    assert "all (3 tasks pooled)" in out and "leaderboard" not in out
    assert all(len(FIGURE.findall(" ".join(words))) == 8 for words in rows)
    assert "--json and --csv" in " ".join(out.split())


def test_what_the_comparison_promises(many: list[Path]) -> None:
    of_each = json.loads(run("compare", *many, *FEW, "--json").stdout)["comparisons"]
    assert len(of_each) == FEWER + 1 and len(of_each[0]["metrics"]) > 3
    more = run("compare", *many, *FEW, "--metrics", "acc,nll,ece,brier").stdout
    assert "p (Holm)" in more and "two against one · all (3 tasks pooled)" in more
    three = run("compare", *many, f"again={many[1]}", *FEW, "--markdown").stdout
    assert "leaderboard" in three and f"| {TASKS[2]} |" in three


def test_a_difference_beyond_luck_is_marked(tmp_path: Path) -> None:
    """Of all that are printed one task differs, on every document."""
    for model in ("one", "two"):
        (tmp_path / model).mkdir()
        for number, task in enumerate([*TASKS, "last"]):
            worse = model == "two" and number == 2
            scores = [-2.0, -1.0] if worse else [-1.0, -2.0]
            lines = [json.dumps(line(i, scores=scores)) for i in range(20)]
            (tmp_path / model / NAME.replace("toy", task)).write_text("\n".join(lines) + "\n")
    out = run("compare", tmp_path / "one", tmp_path / "two", *FEW, "--metrics", "acc").stdout
    marked = [words[0] for words in rows_of(out) if "*" in words]
    assert marked == [TASKS[2]]
