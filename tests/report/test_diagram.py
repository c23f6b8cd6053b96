"""The public diagram, and many of them in one file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration import Predictions, reliability_diagram
from lm_eval_calibration.errors import MissingExtraError
from lm_eval_calibration.report.diagram import save_diagrams
from lm_eval_calibration.report.reliability import NOTE, prepare


@pytest.fixture
def predictions() -> Predictions:
    rng = np.random.default_rng(0)
    confidence = rng.beta(3, 2, size=500)
    return Predictions.from_confidences(confidence, rng.random(500) < confidence**1.5)


def test_drawing_shows_the_accuracies(predictions: Predictions) -> None:
    ax = reliability_diagram(predictions, title="some task")
    r = prepare(predictions)
    heights = [patch.get_height() for patch in ax.containers[0]]
    assert heights == pytest.approx(r.accuracy.tolist())
    title = ax.get_title(loc="left")
    assert title.startswith("some task\nOver-confident.\nECE 0.")
    assert "500 documents" in title
    assert "if calibrated 0.0" in title
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert set(labels) == {"smoothed", "accuracy", "gap to confidence", "if calibrated", "perfect"}
    assert NOTE in [text.get_text() for text in ax.texts]


def test_caption_is_about_the_bins_that_are_drawn() -> None:
    """Too low by .8 on half, too high by .8 on the rest: one bin sees nothing of it."""
    opposite = Predictions.from_confidences([0.2, 0.8] * 10, [1, 0] * 10)
    for num_bins, error in ((1, "0.000"), (5, "0.800")):
        title = reliability_diagram(opposite, num_bins=num_bins).get_title(loc="left")
        assert f"\nECE {error}" in title


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


def test_names_with_dollars_and_foreign_scripts(predictions: Predictions, tmp_path: Path) -> None:
    names = {
        "costs $5 and $x_1": predictions,
        "数学": predictions,
        "a & <b>\u0007\ud800": predictions,
    }
    text = save_diagrams(names, tmp_path / "names.svg").read_text(encoding="utf-8")
    assert "costs $5 and $x_1" in text
    assert "数学" in text
    assert "a &amp; &lt;b&gt;" in text


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_files_are_the_same_bytes_every_time(
    predictions: Predictions, tmp_path: Path, suffix: str
) -> None:
    paths = [tmp_path / f"{i}.{suffix}" for i in "ab"]
    first, second = [save_diagrams({"task": predictions}, path).read_bytes() for path in paths]
    assert first == second


def test_the_callers_settings_have_no_say(predictions: Predictions, tmp_path: Path) -> None:
    import matplotlib

    plain = save_diagrams({"task": predictions}, tmp_path / "plain.svg").read_text()
    with matplotlib.rc_context({"font.size": 40, "axes.grid": False, "svg.fonttype": "path"}):
        again = save_diagrams({"task": predictions}, tmp_path / "again.svg").read_text()
    assert again == plain
