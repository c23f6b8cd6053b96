"""Group rows: size-weighted and plain means, and their error bars."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from release import OLD

GROUP = "" if OLD else "calib_toy_group::"
MEMBERS = {
    "norm": f"{GROUP}calib_toy_norm",
    "plain": f"{GROUP}calib_toy_plain",
    "several": "calib_toy_several" if OLD else f"{GROUP}toy_inner::calib_toy_several",
}
"""Of the group: 0.5 calls a member after where it stands."""


@pytest.fixture(scope="module")
def results(tasks: Any, scripted: Any) -> dict[str, Any]:
    return simple_evaluate(
        model=scripted(),
        tasks=["calib_toy_group"],
        task_manager=tasks,
        bootstrap_iters=50,
        samples={
            MEMBERS["norm"]: list(range(30)),
            MEMBERS["plain"]: list(range(10)),
            MEMBERS["several"]: list(range(20)),
        },
    )


def test_structure_is_upstreams(results: dict[str, Any]) -> None:
    inner = "calib_toy_group::toy_inner"
    assert results["group_subtasks"] == {
        "calib_toy_group": [MEMBERS["norm"], MEMBERS["plain"], inner],
        inner: [MEMBERS["several"]],
    }
    assert results["results"]["calib_toy_group"]["alias"] == "calib_toys"
    assert results["configs"][MEMBERS["plain"]]["num_fewshot"] == 1
    assert results["results"][MEMBERS["plain"]]["alias"] == "calib_plain"


def test_means_and_their_error_bars(results: dict[str, Any]) -> None:
    rows = results["results"]
    members = [MEMBERS["norm"], MEMBERS["plain"], MEMBERS["several"]]
    values = np.array([rows[m]["ece,none"] for m in members])
    errors = np.array([rows[m]["ece_stderr,none"] for m in members])
    share = np.array([30, 10, 20]) / 60
    group = rows["calib_toy_group"]
    assert group["ece,none"] == pytest.approx(share @ values)
    assert group["ece_macro,none"] == pytest.approx(values.mean())
    assert group["ece_stderr,none"] == pytest.approx(np.sqrt((share * errors) ** 2 @ np.ones(3)))
    assert group["ece_macro_stderr,none"] == pytest.approx(np.sqrt((errors**2).sum()) / 3)
    assert results["higher_is_better"]["calib_toy_group"]["ece_macro"] is False


def test_upstream_aggregation_is_untouched(results: dict[str, Any]) -> None:
    rows = results["groups"]["calib_toy_group"]
    sizes = {MEMBERS["norm"]: 30, MEMBERS["plain"]: 10, MEMBERS["several"]: 20}
    pooled = sum(results["results"][m]["acc,none"] * n for m, n in sizes.items()) / 60
    assert rows["acc,none"] == pytest.approx(pooled)


def test_members_where_a_metric_is_undefined_are_left_out_with_a_warning(
    tasks: Any, scripted: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def always_right_on_plain(context: str, continuation: str) -> float:
        return -float(len(continuation)) if "test answer" in continuation else -1.0

    with caplog.at_level(logging.WARNING):
        rows = simple_evaluate(
            model=scripted(always_right_on_plain),
            tasks=["calib_toy_group"],
            task_manager=tasks,
            bootstrap_iters=0,
            samples={
                MEMBERS["norm"]: [0],
                MEMBERS["plain"]: list(range(10)),
                MEMBERS["several"]: list(range(20)),
            },
        )["results"]
    assert np.isnan(rows[MEMBERS["norm"]]["auroc,none"])
    assert np.isfinite(rows["calib_toy_group"]["auroc,none"])
    assert any(f"`auroc` is undefined in `{MEMBERS['norm']}`" in r.message for r in caplog.records)


def test_groups_without_twins_get_no_calibration_rows(tasks: Any, scripted: Any) -> None:
    results = simple_evaluate(
        model=scripted(), tasks=["toy_group"], task_manager=tasks, bootstrap_iters=0, limit=3
    )
    assert not any("ece" in key for key in results["results"]["toy_group"])
