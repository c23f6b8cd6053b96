"""Which mean a group's row is, by the rows in the results file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from command import run
from logged_lines import NAME, line
from release import only_0_4

from lm_eval_calibration.logs.formats.harness.group_means import counted, means_of
from lm_eval_calibration.metrics.combine import Arithmetic, harness_mean, weighted_mean

VALUES, ERRORS, SIZES = [0.25, 0.5, 0.75], [0.01, 0.02, 0.04], [10, 20, 40]
TASKS = ["a", "b", "c"]


def file(value: float, stderr: Any, **changes: Any) -> dict[str, Any]:
    rows: dict[str, Any] = {
        task: {"acc,none": v, "acc_stderr,none": e, "sample_len": n}
        for task, v, e, n in zip(TASKS, VALUES, ERRORS, SIZES, strict=True)
    }
    rows["g"] = {
        "acc,none": value,
        "acc_stderr,none": stderr,
        "alias": "g",
        "sample_len": 70,
        **changes,
    }
    return {"results": rows}


def test_the_mean_that_gives_the_row() -> None:
    for arithmetic, mean in (
        (Arithmetic.OURS, weighted_mean(VALUES, ERRORS, SIZES)),
        (Arithmetic.BY_SIZE, harness_mean(VALUES, ERRORS, SIZES, True)),
        (Arithmetic.PLAIN, harness_mean(VALUES, ERRORS, SIZES, False)),
    ):
        found = means_of(file(*mean), "g", TASKS)
        assert found["acc"] is not None
        assert (found["acc"].arithmetic, found["acc"].tasks) == (arithmetic, ("a", "b", "c"))


@only_0_4("0.5 has no unweighted error bar")
def test_the_harness_s_own_functions() -> None:
    from lm_eval.api import metrics

    for by_size in (True, False):
        mean = harness_mean(VALUES, ERRORS, SIZES, by_size)
        assert mean.value == metrics.aggregate_subtask_metrics(VALUES, SIZES, by_size)
    assert harness_mean(VALUES, ERRORS, SIZES, True).stderr == metrics.pooled_sample_stderr(
        ERRORS, SIZES
    )
    assert harness_mean(VALUES, ERRORS, SIZES, False).stderr == metrics.unweighted_mean_stderr(
        ERRORS
    )
    assert math.isnan(harness_mean([0.5], [math.nan], [1], True).stderr)


@pytest.mark.parametrize(
    ("value", "stderr"),
    [(0.9, 0.1), (math.nan, "N/A"), (1e308, 1e308), (10**400, 5), ("x", 5), (True, 1)],
)
def test_rows_that_are_no_mean(value: Any, stderr: Any) -> None:
    assert means_of(file(value, stderr), "g", TASKS).get("acc") is None


@pytest.mark.parametrize(
    "found", [{}, {"results": 5}, {"results": {"g": 5}}, {"results": {"a": {}, "g": {}}}]
)
def test_files_without_rows(found: dict[str, Any]) -> None:
    assert means_of(found, "g", TASKS) == {}


def test_a_task_of_two_subgroups_counts_twice() -> None:
    members = {"g": ["a", "h", "i"], "h": ["b", "a"], "i": ["b"], "a": [], "b": []}
    assert counted("g", members) == ("a", "b", "a", "b")
    deep = {f"g{i}": [f"g{i + 1}", f"h{i + 1}"] for i in range(60)} | {
        f"h{i}": [f"g{i + 1}", f"h{i + 1}"] for i in range(1, 60)
    }
    assert counted("g0", deep) == ()


def test_what_score_says_of_a_plain_mean(tmp_path: Path) -> None:
    """Case W10: a group that weights all its tasks alike."""
    means = []
    for task, golds in (("x", [0] * 9 + [1]), ("y", [0, 1])):
        lines = [json.dumps(line(i, target=str(g), acc=1.0 - g)) for i, g in enumerate(golds)]
        (tmp_path / NAME.replace("toy", task)).write_text("\n".join(lines) + "\n")
        means.append(1 - sum(golds) / len(golds))
    stderrs = [0.1, 0.5]  # (by the harness; mean_stderr of these)
    plain = harness_mean(means, stderrs, [10, 2], False)
    found: dict[str, Any] = {"group_subtasks": {"both": ["x", "y"]}, "results": {}}
    for task, value, error, size in zip("xy", means, stderrs, (10, 2), strict=True):
        found["results"][task] = {"acc,none": value, "acc_stderr,none": error, "sample_len": size}
    found["results"]["both"] = {"acc,none": plain.value, "acc_stderr,none": plain.stderr}
    results = tmp_path / NAME.replace("samples_toy", "results").replace("jsonl", "json")
    results.write_text(json.dumps(found))
    arguments = ("score", tmp_path, "--metrics", "acc,ece", "--replicates", 10)
    group = json.loads(run(*arguments, "--json").stdout)["scores"][0]
    row = group["metrics"]["acc"]["mean_of_tasks"]
    assert (row["value"], row["weighted_by_size"]) == (plain.value, False)
    assert row["stderr"] == pytest.approx(plain.stderr)
    assert group["metrics"]["ece"]["mean_of_tasks"]["weighted_by_size"] is True
    out = " ".join(run(*arguments).stdout.split())
    assert "= 0.7000 ±" in out and "`weight_by_size: false`" in out
    assert "`weight_by_size: false`" in run(*arguments, "--markdown").stdout
