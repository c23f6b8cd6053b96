"""Trends of metrics over runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration import Predictions, evaluate
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import Estimate
from lm_eval_calibration.report.trend import prepare, save_trend

METRICS = ["acc", "ece", "auroc"]


@pytest.fixture(scope="module")
def checkpoints() -> list[dict[str, Estimate]]:
    rng = np.random.default_rng(0)
    found = []
    for power in (3, 2, 1):
        c = rng.random(200)
        p = Predictions.from_confidences(c, rng.random(200) < c**power)
        found.append(evaluate(p, METRICS, replicates=50))
    return found


def test_numbers(checkpoints: list[dict[str, Estimate]]) -> None:
    t = prepare({"arc": checkpoints, "mmlu": [{}, *checkpoints[1:]]}, ["a", "b", "c"])
    assert (t.scopes, t.metrics) == (("arc", "mmlu"), tuple(METRICS))
    assert t.value.shape == (2, 3, 3)
    assert t.value[0, 1].tolist() == [run["ece"].value for run in checkpoints]
    assert t.null_high[0, 1, 2] == checkpoints[2]["ece"].null.high
    assert np.isnan(t.value[1, :, 0]).all()
    assert (t.low[0] <= t.value[0]).all() and (t.value[0] <= t.high[0]).all()


def test_infinite_and_undefined_values_are_gaps() -> None:
    inf, nan = float("inf"), float("nan")
    runs = [{"nll": Estimate("nll", value, nan, nan, nan, None)} for value in (inf, 1.0)]
    assert np.isnan(prepare({"task": runs}, ["a", "b"]).value[0, 0]).tolist() == [True, False]


@pytest.mark.parametrize(("tasks", "labels"), [(1, 3), (2, 3), (9, 3), (1, 1)])
@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_files(
    checkpoints: list[dict[str, Estimate]], tmp_path: Path, tasks: int, labels: int, suffix: str
) -> None:
    series = {f"task_{i}": checkpoints[:labels] for i in range(tasks)}
    names = [f"model-step{i}00" for i in range(labels)]
    path = tmp_path / "new" / f"trend.{suffix}"
    first = save_trend(series, names, path).read_bytes()
    assert save_trend(series, names, path, title=None).read_bytes() == first
    if suffix == "svg":
        text = first.decode()
        assert ("task_0" in text) == (tasks <= 8)
        assert "ece ↓" in text
        assert ("step200" in text) == (labels == 3)


def test_bad_input(checkpoints: list[dict[str, Estimate]], tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="for each of the 2 labels, got 3 for `arc`"):
        save_trend({"arc": checkpoints}, ["a", "b"], tmp_path / "t.svg")
    with pytest.raises(InvalidInputError, match="at least one estimate"):
        save_trend({}, [], tmp_path / "t.svg")
