"""Intervals where the plain bootstrap has none, and Wilson's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from lm_eval_calibration.metrics import METRICS, evaluate
from lm_eval_calibration.metrics.accuracy import wilson_interval
from lm_eval_calibration.metrics.intervals import detectable
from lm_eval_calibration.predictions import Predictions

RANKING = [
    f"{name}_0.95" if metric.parameter else name
    for name, metric in METRICS.items()
    if metric.smoothed and name not in ("auroc", "prr")
]


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("name", RANKING)
def test_a_set_without_an_error_does_not_rule_errors_out(name: str, right: bool) -> None:
    """Ten of ten: others like them may be wrong (the draws of these ten alone never are)."""
    p = Predictions.from_confidences(np.linspace(0.6, 0.99, 10), [right] * 10)
    e = evaluate(p, [name])[name]
    assert e.high - e.low > 0.02
    assert e.low <= e.value <= e.high and e.stderr > 0


def test_what_is_undefined_has_no_interval() -> None:
    p = Predictions.from_confidences(np.linspace(0.6, 0.99, 10), [True] * 10)
    found = evaluate(p, ["auroc", "prr"])
    assert all(np.isnan([e.value, e.stderr, e.low, e.high]).all() for e in found.values())


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_the_interval_of_a_share_is_wilson_s(drawn: tuple[int, int]) -> None:
    count, right = drawn
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx(tuple(expected), abs=1e-12)
    p = Predictions.from_confidences(np.full(count, 0.5), np.arange(count) < right)
    if count > 1:
        e = evaluate(p, ["acc"], replicates=2)["acc"]
        assert (e.low, e.high) == pytest.approx(tuple(expected), abs=1e-9)


def test_a_difference_is_seen_8_times_in_10() -> None:
    rng = np.random.default_rng(0)
    drawn = rng.normal(detectable(0.01), 0.01, 100_000)
    assert np.mean(np.abs(drawn) > 1.96 * 0.01) == pytest.approx(0.8, abs=0.01)
