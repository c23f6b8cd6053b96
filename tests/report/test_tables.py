"""The summary's rows and the tables of metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lm_eval_calibration import Predictions
from lm_eval_calibration.logs import Samples, Scope
from lm_eval_calibration.report.tables import (
    cell,
    definitions,
    forest_scale,
    metric_tables,
    summary,
)
from lm_eval_calibration.report.wording import Verdict


@pytest.fixture
def rows(reported: Any) -> dict[str, list[Any]]:
    anchors = {(s.scope.run, s.scope.name): f"to_{s.scope.name}" for s in reported.scored}
    return summary(reported.scored, anchors)


def test_groups_then_their_tasks_then_the_rest(rows: dict[str, list[Any]]) -> None:
    assert list(rows) == ["large", "small"]
    for run in rows.values():
        assert [row.name for row in run] == ["toy", "a", "b", "toy_hostile"]
        assert [row.full_name for row in run] == ["toy", "toy_a", "toy_b", "toy_hostile"]
        assert [row.pooled for row in run] == [True, False, False, False]
        assert [row.indented for row in run] == [False, True, True, False]
        assert [row.documents for row in run] == ["100", "60", "40", "7"]
        assert run[3].anchor == "to_toy_hostile"


def test_drawings_share_a_scale(reported: Any, rows: dict[str, list[Any]]) -> None:
    scale = forest_scale(reported.scored)
    assert round(scale * 20) == pytest.approx(scale * 20)
    by_row = [row for run in rows.values() for row in run]
    for s, row in zip(reported.scored, by_row, strict=True):
        e = s.estimates["ece"]
        assert row.forest.value == pytest.approx(100 * e.value / scale, abs=0.01)
        assert 0 <= row.forest.low <= row.forest.value <= row.forest.high <= 100
        above = row.forest.value > row.forest.null_high
        assert (row.verdict is Verdict.ABOVE) == above


def test_a_group_has_the_means_of_its_tasks(reported: Any) -> None:
    (table,) = metric_tables(reported.scored[0])
    tasks = reported.scored[1:3]
    by_name = {row.name: row for row in table}
    mean = sum(len(s.scope.predictions) * s.estimates["ece"].value for s in tasks) / 100
    assert by_name["ece"].means == f"{mean:.3f}"
    assert by_name["ece"].arrow == "↓" and by_name["auroc"].arrow == "↑"
    assert {name for name, _, _ in definitions(reported.scored)} == set(by_name)


def test_labels() -> None:
    p = Predictions.from_confidences([0.5], [1])

    def scope(run: str, name: str) -> Scope:
        return Scope(run, name, (Samples(run, name, Path("x"), p),))

    assert scope("m", "arc").label(several_runs=True) == "m · arc"
    assert scope("m", "arc").label(several_runs=False) == "arc"
    assert scope("m", "").label(several_runs=True) == "m"
    assert scope("", "").label(several_runs=False) == "all documents"
    assert cell("ece", None, scope("m", "arc")).note == "only confidences are known"
