"""The front: exactly the models that no other is at least as good as in both metrics and better in one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_calibration.report.leaderboard.front import unbeaten

POINTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=9)


@given(POINTS)
def test_it_is_what_its_name_says(points: list[tuple[int, int]]) -> None:
    found = unbeaten(np.array(points, dtype=float).T)
    for (x, y), best in zip(points, found, strict=True):
        beaten = any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
        assert best == (not beaten)
    assert found.any()


@given(POINTS)
def test_order_does_not_matter(points: list[tuple[int, int]]) -> None:
    backwards = unbeaten(np.array(points[::-1], dtype=float).T)[::-1]
    assert unbeaten(np.array(points, dtype=float).T).tolist() == backwards.tolist()
