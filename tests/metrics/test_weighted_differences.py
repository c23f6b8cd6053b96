"""Two models on documents that do not count alike."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_calibration import Predictions, compare
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import all_names

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(scale=1.5, size=(150, 3))
GOLD = [int(RNG.choice(3, p=np.exp(row) / np.exp(row).sum())) for row in 0.6 * LOGITS]
A = Predictions.from_options(LOGITS, GOLD)
B = Predictions.from_options(0.5 * LOGITS + RNG.normal(scale=0.5, size=LOGITS.shape), GOLD)
TIMES = RNG.integers(0, 4, size=150)
ROWS = np.repeat(np.arange(150), TIMES)
NAMES = all_names()


def test_weights_are_repeated_documents_drawn_together() -> None:
    drawn = TIMES > 0
    one = compare(A, B, NAMES, sample_weight=TIMES, replicates=400)
    other = compare(A.take(ROWS), B.take(ROWS), NAMES, clusters=ROWS, replicates=400)
    assert drawn.sum() < 150  # some count for nothing
    for name, d in one.items():
        same = other[name]
        assert (d.a, d.b) == pytest.approx((same.a, same.b), abs=1e-9, nan_ok=True), name
        if name not in ("mce", "debiased_ece"):  # (a largest gap; its bias is of so many documents)
            assert d.high - d.low == pytest.approx(same.high - same.low, rel=0.25, nan_ok=True)


def test_weights_of_one_change_nothing() -> None:
    one = compare(A, B, ["acc", "nll", "auroc"], sample_weight=np.ones(150), replicates=400)
    for name, same in compare(A, B, ["acc", "nll", "auroc"], replicates=400).items():
        assert one[name].difference == pytest.approx(same.difference, abs=1e-12)
        assert one[name].low == pytest.approx(same.low, abs=1e-6)
        assert one[name].p_value == pytest.approx(same.p_value, abs=1e-6)


def test_a_model_does_not_differ_from_itself() -> None:
    found = compare(A, A, NAMES, sample_weight=TIMES, replicates=50)
    assert {d.difference for d in found.values()} == {0.0}


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="one number for each of the 150 documents"):
        compare(A, B, sample_weight=[1, 2])
