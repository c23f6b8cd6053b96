"""`lm-calib fit best`: the same folds for all, the simplest within one standard error, and why."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from command import run

from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.beliefs import Beliefs
from lm_eval_calibration.fitting.best import NONE, SIMPLEST, best_of, difference, losses
from lm_eval_calibration.metrics import evaluate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing.calibrators import overconfident


def beliefs(predictions: Predictions) -> Beliefs:
    return Beliefs({"toy": predictions}, {"toy": np.arange(len(predictions), dtype=np.uint64)})


def test_a_temperature_is_enough_for_what_a_temperature_spoilt() -> None:
    found = best_of(beliefs(overconfident(1500)), folds=5)
    assert found.kept.name == "temperature"
    assert [one.name for one in found.tried] == list(SIMPLEST)
    assert min(found.tried, key=lambda one: one.nll) is found.best
    mean, error = found.apart(found.kept)
    assert 0 <= mean <= error
    everything = overconfident(1500)
    assert found.kept.calibrator is not None
    expected = fit("temperature", everything).parameters[""]["temperature"]
    assert found.kept.calibrator.parameters[""]["temperature"] == pytest.approx(expected)


def test_nothing_is_kept_where_nothing_helps() -> None:
    found = best_of(beliefs(overconfident(800, temperature=1.0)), folds=5)
    assert found.kept.name == NONE and found.kept.calibrator is None


def test_a_curve_is_kept_where_a_temperature_is_not_enough() -> None:
    rng = np.random.default_rng(0)
    c = rng.uniform(0.01, 0.99, 6000)
    truth = 0.5 + 0.4 * np.sign(c - 0.5) * (np.abs(c - 0.5) * 2) ** 0.2
    p = Predictions.from_confidences(c, rng.uniform(size=len(c)) < truth)
    found = best_of(beliefs(p), folds=5)
    assert found.kept.name in ("spline", "centred_isotonic", "isotonic")
    assert "vector" in found.left_out and "needs options" in found.left_out["vector"]


def test_losses_are_the_metric_s() -> None:
    p = overconfident(300)
    assert losses(p).mean() == pytest.approx(evaluate(p, ["nll"], replicates=0)["nll"].value)
    c = Predictions.from_confidences([0.9, 0.2], [1, 0])
    assert losses(c) == pytest.approx(-np.log([0.9, 0.8]))
    assert difference(np.array([1.0, 3.0]), np.array([0.0, 0.0])) == pytest.approx((2.0, 1.0))


def test_scores_have_no_row_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=200)
    right = rng.uniform(size=200) < 1 / (1 + np.exp(-scores))
    table = tmp_path / "t.csv"
    table.write_text(
        "s,y\n" + "".join(f"{s},{int(y)}\n" for s, y in zip(scores, right, strict=True))
    )
    told = run(
        "fit", "best", "--samples", table, "--score", "s", "--correct", "y", "-o", tmp_path / "b"
    )
    assert "\nnone " not in told.output and "Kept: platt" in told.output
    assert Calibrator.from_pretrained(tmp_path / "b").method == "platt"
    assert json.loads((tmp_path / "b" / "config.json").read_text())["method"] == "platt"


def test_the_table_says_what_is_kept_and_why(tmp_path: Path) -> None:
    p = overconfident(400)
    assert p.probabilities is not None and p.gold is not None
    table = tmp_path / "t.jsonl"
    rows = [
        {"p": row.tolist(), "gold": int(g.argmax())}
        for row, g in zip(p.probabilities, p.gold, strict=True)
    ]
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = run(
        "fit", "best", "--samples", table, "--options", "p", "--gold", "gold", "-o", tmp_path / "b"
    )
    assert "(kept)" in out.output and "Kept: " in out.output and "held out in 5 folds" in out.output


def test_too_few_documents() -> None:
    with pytest.raises(InvalidInputError, match="--folds"):
        best_of(beliefs(overconfident(3).take(np.arange(3))), folds=5)
