"""A pool's figures by hand, and the identities of the protocol."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.pool import (
    norm_gain,
    norm_gain_spread,
    score_pool,
    weightiest_answer,
)

few = settings(derandomize=True, deadline=None, max_examples=80)
scores = st.lists(st.integers(0, 4).map(lambda v: v / 4), min_size=1, max_size=6)


def test_by_hand() -> None:
    """Four candidates, two of them "7" and right; three picks: a right one, a wrong one, none."""
    found = score_pool([1, 0, 1, 0], ["7", "8", "7", "9"], [0, 1, None])
    assert found.gen == 0.5
    assert found.disc == pytest.approx((1 + 0 + 0) / 3)
    assert found.disc_lenient == pytest.approx((1 + 0 + 0.5) / 3)
    assert found.dg_diff == pytest.approx(1 / 3 - 0.5)
    assert (found.majority, found.oracle, found.worst) == (1, 1, 0)
    assert found.invalid_rate == pytest.approx(1 / 3)


def test_ties_of_the_majority_are_shared() -> None:
    assert score_pool([1, 0, 0.5], ["a", "b", "c"], []).majority == 0.5
    assert score_pool([1, 1, 0, 0, 0], ["a", "a", "b", "b", "c"], []).majority == 0.5
    assert weightiest_answer(["x", "y", "x", "y", "z"], [0.2] * 5) == (0, 0.4)
    assert weightiest_answer(["x", "y", "z"], [0, 0.5, 0.25]) == (1, 0.5)


@given(scores, st.data())
@few
def test_identities(f: list[float], data: st.DataObject) -> None:
    answers = data.draw(st.lists(st.sampled_from("abc"), min_size=len(f), max_size=len(f)))
    everyone = score_pool(f, answers, list(range(len(f))))
    assert everyone.dg_diff == pytest.approx(0, abs=1e-12)  # a random picker, in expectation
    best = score_pool(f, answers, [int(np.argmax(f))])
    assert best.disc == best.oracle and best.dg_diff >= 0
    none = score_pool(f, answers, [None])
    assert none.disc == none.worst and none.disc_lenient == none.gen
    for found in (everyone, best, none):
        assert found.worst <= found.gen <= found.oracle
        assert found.worst <= found.majority <= found.oracle
        assert found.worst <= found.disc <= found.oracle


def test_norm_gain_is_over_mixed_pools() -> None:
    rows = [[0.5, 0.5], [0.0, 0.0], [-0.25, 0.75], [0.1, 0.0]]
    assert norm_gain(rows) == pytest.approx((0.5 - 0.25) / 1.25)
    assert np.isnan(norm_gain([[0.0, 0.0]]))
    spread = norm_gain_spread(rows * 50)
    assert 0 < spread.stderr < 0.2 and spread.low < norm_gain(rows) < spread.high
    assert np.isnan(norm_gain_spread([[0.0, 0.0]] * 5).stderr)


def test_what_is_refused() -> None:
    for f, answers in (([], []), ([1.0], ["a", "b"])):
        with pytest.raises(InvalidInputError, match="one for each of at least one candidate"):
            score_pool(f, answers, [])


@given(scores, st.data())
@few
def test_the_best_of_n_by_beliefs(f: list[float], data: st.DataObject) -> None:
    answers = ["a"] * len(f)
    beliefs = data.draw(st.lists(st.floats(0, 1), min_size=len(f), max_size=len(f)))
    found = score_pool(f, answers, [], beliefs=beliefs)
    assert found.best_of_n == f[beliefs.index(max(beliefs))]
    assert found.best_of_n_gain == pytest.approx(found.best_of_n - found.gen)
    assert found.worst <= found.best_of_n <= found.oracle
    knowing = score_pool(f, answers, [], beliefs=f)  # (who knows the scores finds the best)
    assert knowing.best_of_n == knowing.oracle
    assert np.isnan(score_pool(f, answers, []).best_of_n)
