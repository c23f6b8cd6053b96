"""Reliability diagrams: the numbers, then the ink."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration import Predictions, reliability_diagram
from lm_eval_calibration.errors import MissingExtraError
from lm_eval_calibration.metrics import ece
from lm_eval_calibration.report.diagram import save_diagrams
from lm_eval_calibration.report.reliability import reliability


@pytest.fixture
def predictions() -> Predictions:
    rng = np.random.default_rng(0)
    confidence = rng.beta(3, 2, size=500)
    return Predictions.from_confidences(confidence, rng.random(500) < confidence**1.5)


def test_numbers_are_those_of_ece(predictions: Predictions) -> None:
    r = reliability(predictions, num_bins=10)
    weighted = (r.count * abs(r.accuracy - r.confidence)).sum() / r.count.sum()
    assert weighted == pytest.approx(ece(predictions.confidence, predictions.correct, num_bins=10))
    assert ((r.confidence > r.edges[r.index]) & (r.confidence <= r.edges[r.index + 1])).all()
    assert ((r.low <= r.confidence) & (r.confidence <= r.high)).all()


def test_empty_bins_are_left_out() -> None:
    r = reliability(Predictions.from_confidences([0.0, 0.55, 1.0], [0, 1, 1]), num_bins=10)
    assert r.index.tolist() == [0, 5, 9]
    assert r.count.tolist() == [1, 1, 1]


def test_band_by_hand() -> None:
    """100 documents at 0.5: a Binomial(100, 0.5) lies in 40..60 in 95 of 100 draws."""
    r = reliability(Predictions.from_confidences([0.5] * 100, [1] * 100))
    assert (r.low[0], r.high[0]) == (0.40, 0.60)


def test_drawing_shows_the_accuracies(predictions: Predictions) -> None:
    ax = reliability_diagram(predictions, title="some task")
    r = reliability(predictions)
    heights = [patch.get_height() for patch in ax.containers[0]]
    assert heights == pytest.approx(r.accuracy.tolist())
    title = ax.get_title(loc="left")
    assert title.startswith("some task\nECE 0.")
    assert "500 documents" in title
    assert "if calibrated: 0.0" in title


def test_caption_is_about_the_bins_that_are_drawn() -> None:
    """Too low by .8 on half, too high by .8 on the rest: one bin sees nothing of it."""
    opposite = Predictions.from_confidences([0.2, 0.8] * 10, [1, 0] * 10)
    for num_bins, error in ((1, "0.000"), (5, "0.800")):
        title = reliability_diagram(opposite, num_bins=num_bins).get_title(loc="left")
        assert title.startswith(f"ECE {error}")


def test_saving_leaves_the_callers_backend_and_figures_alone(
    predictions: Predictions, tmp_path: Path
) -> None:
    import matplotlib.pyplot as plt

    plt.close("all")
    plt.switch_backend("svg")
    save_diagrams({"one": predictions}, tmp_path / "one.png")
    assert plt.get_backend() == "svg"
    assert plt.get_fignums() == []


def test_one_document(tmp_path: Path) -> None:
    one = Predictions.from_confidences([0.7], [1])
    assert save_diagrams({"one": one}, tmp_path / "one.png").stat().st_size > 10_000


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_grids_in_one_file(predictions: Predictions, tmp_path: Path, count: int) -> None:
    runs = {f"task_{i}": predictions for i in range(count)}
    path = save_diagrams(runs, tmp_path / "new" / "grid.svg")
    text = path.read_text()
    assert all(f"task_{i}" in text for i in range(count))


def test_without_matplotlib(predictions: Predictions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"lm-eval-calibration\[plots\]"):
        reliability_diagram(predictions)
