"""Documents that do not count alike: weights are repetitions, and error bars know it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration import Predictions, evaluate
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import all_names

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(scale=1.5, size=(400, 4))
GOLD = np.array([RNG.choice(4, p=np.exp(row) / np.exp(row).sum()) for row in 0.6 * LOGITS])
ALL = Predictions.from_options(LOGITS, GOLD.tolist())
NAMES = [name for name in all_names() if name != "mce"]


def repeated(p: Predictions, times: Any) -> Predictions:
    return p.take(np.repeat(np.arange(len(p)), times))


@settings(max_examples=6)
@given(st.lists(st.integers(0, 4), min_size=30, max_size=30).filter(lambda w: sum(w) > 5))
def test_whole_weights_are_repetitions(times: list[int]) -> None:
    some = ALL.take(np.arange(30))
    one = evaluate(some, list(all_names()), sample_weight=times, replicates=0)
    other = evaluate(repeated(some, times), list(all_names()), replicates=0)
    for name, estimate in one.items():
        assert estimate.value == pytest.approx(other[name].value, abs=1e-9, nan_ok=True), name


@pytest.mark.parametrize("name", NAMES)
def test_error_bars_are_those_of_repeated_documents_drawn_together(name: str) -> None:
    times = RNG.integers(1, 5, size=len(ALL))
    one = evaluate(ALL, [name], sample_weight=times, replicates=600)[name]
    labels = np.repeat(np.arange(len(ALL)), times)
    other = evaluate(repeated(ALL, times), [name], clusters=labels, replicates=600)[name]
    assert one.stderr == pytest.approx(other.stderr, rel=0.15)
    alone = evaluate(repeated(ALL, times), [name], replicates=600)[name]
    assert one.stderr > 1.2 * alone.stderr  # (as if all of them were documents of their own)


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_one_change_nothing(name: str) -> None:
    one = evaluate(ALL, [name], sample_weight=np.ones(len(ALL)), replicates=600)[name]
    other = evaluate(ALL, [name], replicates=600)[name]
    assert one.value == pytest.approx(other.value, abs=1e-9)
    assert one.stderr == pytest.approx(other.stderr, rel=0.12)
    if one.null is not None and other.null is not None:
        width = other.null.high - other.null.low
        assert one.null.mean == pytest.approx(other.null.mean, abs=0.1 * width)


def test_the_scale_of_weights_plays_no_part() -> None:
    names = [name for name in NAMES if name not in ("aurc", "eaurc", "prr", "debiased_ece")]
    weight = RNG.uniform(0.5, 2, len(ALL))
    one, other = (
        evaluate(ALL, names, sample_weight=w, replicates=20) for w in (weight, 5 * weight)
    )
    for name in names:
        assert one[name].value == pytest.approx(other[name].value, abs=1e-9)
        assert one[name].stderr == pytest.approx(other[name].stderr, rel=1e-6)


def test_clusters_and_weights() -> None:
    labels = np.arange(len(ALL)) // 4
    weight = RNG.uniform(0.5, 2, len(ALL))
    alone = evaluate(ALL, ["acc", "ece"], sample_weight=weight)
    found = evaluate(ALL, ["acc", "ece"], sample_weight=weight, clusters=labels)
    assert found["acc"].value == alone["acc"].value
    assert found["acc"].stderr != alone["acc"].stderr


def test_intervals_cover() -> None:
    """Of accuracies and ECE under inverse propensities, in 200 draws of a calibrated model's documents."""
    inside = np.zeros(2)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        confidence = rng.uniform(0.4, 1, 600)
        taken = rng.random(600) < np.where(confidence > 0.7, 0.3, 0.9)
        correct = rng.random(600) < confidence
        p = Predictions.from_confidences(confidence[taken], correct[taken])
        weight = 1 / np.where(confidence[taken] > 0.7, 0.3, 0.9)
        found = evaluate(p, ["acc", "ece"], sample_weight=weight, replicates=150)
        inside += [
            found["acc"].low <= 0.7 <= found["acc"].high,
            found["ece"].null is not None and found["ece"].value <= found["ece"].null.high,
        ]
    assert (inside / 200 > 0.9).all(), inside


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (np.ones(3), "one number for each of the 400 documents"),
        (-np.ones(400), "finite, not negative and not all 0"),
        (np.zeros(400), "finite, not negative and not all 0"),
        (np.full(400, np.nan), "finite, not negative and not all 0"),
    ],
)
def test_what_is_refused(weight: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        evaluate(ALL, ["acc"], sample_weight=weight)
    with pytest.raises(InvalidInputError, match="without `_null`"):
        evaluate(ALL, ["ece_null"], sample_weight=np.ones(400))
