"""The most over-confident wrong answers, and how runs were made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_calibration import Predictions
from lm_eval_calibration.logs import Samples, read_runs
from lm_eval_calibration.report.examples import examples, has_texts, over_confident

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAIRS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


@calm
@given(PAIRS, st.integers(0, 40))
def test_wrong_ones_by_confidence(pairs: list[tuple[float, bool]], count: int) -> None:
    p = Predictions.from_confidences(*zip(*pairs, strict=True))
    rows = over_confident(p, count)
    assert len(rows) == min(count, int((~p.correct).sum()))
    assert not p.correct[rows].any()
    confidence = p.confidence[rows].tolist()
    assert confidence == sorted(confidence, reverse=True)


def test_texts_and_probabilities(reported: Any) -> None:
    samples = reported.runs[0].samples["toy_a"]
    assert has_texts(samples)
    found = examples(samples, 3)
    for row, example in zip(over_confident(samples.predictions, 3), found, strict=True):
        assert example.doc_id == str(row)
        assert example.prompt == f"Is it so? question {row}"
        assert [option.text for option in example.options] == ["yes", "no", "perhaps"]
        assert sum(option.probability for option in example.options) == pytest.approx(1)
        (predicted,) = (option for option in example.options if option.predicted)
        assert predicted.probability == pytest.approx(example.confidence)
        assert not predicted.gold and example.answer == predicted.text
        assert [option.gold for option in example.options] == [True, False, False]


def test_generated_answers(generated_folder: Path) -> None:
    """The answer with its confidence, and the other answers of the pool."""
    (run,), _ = read_runs([generated_folder], filter_name="plain")
    samples = run.samples["calib_toy_filters"]
    assert has_texts(samples)
    for row, example in zip(
        over_confident(samples.predictions, 5), examples(samples, 5), strict=True
    ):
        assert example.confidence == samples.predictions.confidence[row]
        assert example.options[0].predicted and not example.options[0].gold
        assert example.options[0].probability == example.confidence
        assert sum(option.probability for option in example.options) == pytest.approx(1)
        assert "What is item" in example.prompt and "test answer" in example.answer


def test_tables_have_no_texts() -> None:
    p = Predictions.from_confidences([0.5], [0])
    assert not has_texts(Samples("run", "task", Path("table.csv"), p))
