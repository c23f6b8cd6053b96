"""`lm-calib sets` and `thresholds --risk` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import run

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing.calibrators import overconfident

OPTIONS = ("--options", "p", "--gold", "gold", "--task", "task")


def table(folder: Path, name: str, seeds: dict[str, int], count: int = 200) -> Path:
    rows = []
    for task, seed in seeds.items():
        p = overconfident(count, seed=seed)
        assert p.probabilities is not None and p.gold is not None
        for i, (row, gold) in enumerate(zip(p.probabilities, p.gold, strict=True)):
            rows.append(
                {"task": task, "p": row.tolist(), "gold": int(gold.argmax()), "n": f"{name}{i}"}
            )
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_each_task_and_all_together(tmp_path: Path) -> None:
    fit, test = (
        table(tmp_path, "a.jsonl", {"x": 0, "y": 1}),
        table(tmp_path, "b.jsonl", {"x": 2, "y": 3}),
    )
    arguments = ("sets", "--fit", fit, "--test", test, *OPTIONS)
    printed = run(*arguments).output
    assert "all documents" in printed and "wanted coverage 0.9" in " ".join(printed.split())
    told = json.loads(run(*arguments, "--json", "--score", "aps", "--coverage", 0.8).stdout)
    assert [task["task"] for task in told["sets"]] == ["x", "y", "all documents"]
    assert all(0.7 < task["coverage"] < 0.92 for task in told["sets"])
    lines = tmp_path / "sets.jsonl"
    run(*arguments, "-o", lines)
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(written) == 400 and {line["task"] for line in written} == {"x", "y"}
    by_task = json.loads(run(*arguments, "--json").stdout)["sets"]
    share = np.mean([line["covered"] for line in written if line["task"] == "x"])
    assert share == pytest.approx(by_task[0]["coverage"])
    for how in ("--csv", "--markdown"):
        assert "all documents" in run(*arguments, how).output


def test_too_few_documents_are_said(tmp_path: Path) -> None:
    few, test = table(tmp_path, "a.jsonl", {"x": 0}, 8), table(tmp_path, "b.jsonl", {"x": 2})
    printed = " ".join(run("sets", "--fit", few, "--test", test, *OPTIONS).output.split())
    assert "too few documents to find a threshold on (9 are needed)" in printed


def test_what_cannot_be(tmp_path: Path) -> None:
    one, other = table(tmp_path, "a.jsonl", {"x": 0}), table(tmp_path, "b.jsonl", {"z": 2})
    with pytest.raises(InvalidInputError, match="no task in common"):
        run("sets", "--fit", one, "--test", other, *OPTIONS)
    with pytest.raises(InvalidInputError, match="are in both runs"):
        run("sets", "--fit", one, "--test", one, *OPTIONS)
    with pytest.raises(InvalidInputError, match="`score` must be lac or aps"):
        run(
            "sets",
            "--fit",
            one,
            "--test",
            table(tmp_path, "c.jsonl", {"x": 5}),
            *OPTIONS,
            "--score",
            "x",
        )


def answers(folder: Path, name: str, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    c = rng.uniform(0.3, 1, 600)
    p = Predictions.from_confidences(c, rng.uniform(size=600) < c**0.3)
    path = folder / name
    rows = zip(p.confidence, p.correct, strict=True)
    path.write_text("c,y\n" + "".join(f"{c},{int(y)}\n" for c, y in rows))
    return path


def test_a_promise_stands_beside_the_plain_threshold(tmp_path: Path) -> None:
    fit, test = answers(tmp_path, "a.csv", 0), answers(tmp_path, "b.csv", 1)
    arguments = ("thresholds", "--fit", fit, "--test", test, "--confidence", "c", "--correct", "y")
    printed = run(*arguments, "--risk", 0.1).output
    assert "0.90, promised" in printed and "5 of 100" in " ".join(printed.split())
    plain, kept = json.loads(run(*arguments, "--risk", 0.1, "--json").stdout)["thresholds"]
    assert kept["promised"] and not plain["promised"] and kept["threshold"] >= plain["threshold"]
    assert "promised" not in run(*arguments).output


def test_one_run_is_parted_in_two(tmp_path: Path) -> None:
    run_of = table(tmp_path, "a.jsonl", {"x": 0, "y": 1})
    told = json.loads(run("sets", "--fit", run_of, *OPTIONS, "--json").stdout)["sets"]
    assert all(task["documents"] + task["fitted_on"] in (200, 400) for task in told)
    assert told[0]["coverage"] > 0.8
