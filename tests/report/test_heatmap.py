"""The heat map of gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_calibration import Predictions
from lm_eval_calibration.metrics import ece
from lm_eval_calibration.report import heatmap, theme
from lm_eval_calibration.report.svg import svg_text

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


def test_by_hand() -> None:
    h = heatmap.prepare(
        ["a", "b"],
        [
            Predictions.from_confidences([0.1, 0.9, 0.7], [0, 1, 0]),
            Predictions.from_confidences([0.4], [1]),
        ],
        num_bins=2,
    )
    assert h.count.tolist() == [[1, 2], [1, 0]]
    assert h.gap[0] == pytest.approx([0.1, 0.3])
    assert h.gap[1, 0] == pytest.approx(-0.6)
    assert np.isnan(h.gap[1, 1])
    assert h.accuracy.tolist() == pytest.approx([1 / 3, 1])


@calm
@given(PAIRS, st.integers(1, 20))
def test_weighted_gaps_are_ece(pairs: list[tuple[float, bool]], num_bins: int) -> None:
    p = Predictions.from_confidences(*zip(*pairs, strict=True))
    h = heatmap.prepare(["task"], [p], num_bins)
    weighted = np.nansum(h.count * np.abs(h.gap)) / len(pairs)
    expected = ece(p.confidence, p.correct, num_bins=num_bins)
    assert weighted == pytest.approx(expected, abs=1e-12)
    assert h.ece[0] == pytest.approx(expected, abs=1e-12)


def test_squares_say_their_numbers() -> None:
    p = Predictions.from_confidences([0.95, 0.95, 0.2], [1, 0, 1])
    prepared = heatmap.prepare(["some_task"], [p], 10)
    with theme.style():
        figure, ax = heatmap.canvas(prepared)
        heatmap.draw(ax, prepared)
        text = svg_text(figure, "heat map", key="h", themed=True)
    assert (
        "<title>some_task, confidence 0.90 to 1.00: 2 documents, mean confidence 0.450 above "
        "accuracy</title>" in text
    )
    assert "1 document, mean confidence 0.800 below accuracy" in text
    assert text.count("<title>") == 2
