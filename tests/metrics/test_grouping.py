"""Documents drawn in random groups against documents drawn one by one."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_calibration.metrics.binning import bin_sums
from lm_eval_calibration.metrics.grouping import (
    Groups,
    GroupWeights,
    draw_groups,
    random_groups,
)


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_few_documents_are_a_group_each() -> None:
    groups = random_groups(5, _rng(), limit=5)
    assert groups.of_document.tolist() == [0, 1, 2, 3, 4]
    assert groups.total == 5


@pytest.mark.parametrize("n", [6, 100, 1003])
def test_many_documents_are_spread_evenly(n: int) -> None:
    groups = random_groups(n, _rng(), limit=5)
    sizes = np.bincount(groups.of_document, minlength=5)
    assert groups.total == len(sizes) == 5
    assert np.ptp(sizes) <= 1
    assert (np.diff(groups.of_document) != 1).any()  # not in the order of the rows


def test_a_draw_is_as_many_groups_with_replacement() -> None:
    drawn = draw_groups(Groups(np.arange(50), 50), 2000, _rng())
    assert (drawn.sum(axis=1) == 50).all()
    assert drawn.mean() == 1.0
    assert drawn.var() == pytest.approx(1 - 1 / 50, rel=0.02)


def test_sums_are_those_of_the_documents_weights() -> None:
    rng = _rng()
    groups = random_groups(300, rng, limit=40)
    weight = draw_groups(groups, 300, rng)
    index, values = rng.integers(0, 4, 300), rng.normal(size=300)
    sums = bin_sums(index, values, 4, GroupWeights(groups, weight))
    expected = bin_sums(index, values, 4, weight[:, groups.of_document].astype(float))
    np.testing.assert_allclose(sums, expected, atol=1e-12)


def test_the_deviation_of_a_sum_is_the_documents_own() -> None:
    """Over many ways of grouping: 40 groups say it to 11 % each, 400 times to 0.6 %."""
    values = np.random.default_rng(1).exponential(size=1000)
    ratios = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        groups = random_groups(1000, rng, limit=40)
        weights = GroupWeights(groups, draw_groups(groups, 200, rng))
        sums = weights.bin_sums(np.zeros(1000, dtype=int), values - values.mean(), 1)
        ratios.append(sums.var() / (1000 * values.var()))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)
