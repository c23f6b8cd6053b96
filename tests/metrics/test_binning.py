"""The binning rule on the grids where other libraries disagree with themselves."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from lm_eval_calibration.metrics.binning import (
    bin_counts,
    bin_sums,
    equal_mass_bins,
    equal_width_bins,
    group_sums,
    tie_groups,
)


def _bin(confidence: float, num_bins: int) -> int:
    return int(equal_width_bins(np.array([confidence]), num_bins)[0])


@pytest.mark.parametrize("num_bins", [1, 2, 3, 5, 7, 10, 15, 20, 100])
@pytest.mark.parametrize("grid", [10, 15, 20, 100])
def test_grid_values_follow_the_rule_in_exact_arithmetic(grid: int, num_bins: int) -> None:
    """(lo, hi], 0 in the first bin, whichever way the float came about."""
    for k in range(grid + 1):
        expected = max(ceil(Fraction(k, grid) * num_bins) - 1, 0)
        for value in (k / grid, k * (1 / grid), 1 - (grid - k) / grid, sum([1 / grid] * k, 0.0)):
            assert _bin(min(value, 1.0), num_bins) == expected, value


@pytest.mark.parametrize("value", [0.1 + 0.2, 0.3, 3 / 10, 0.3 + 1e-11, 0.3 - 1e-11])
def test_three_tenths_are_one_bin(value: float) -> None:
    assert _bin(value, 10) == 2


def test_a_value_beyond_the_tolerance_lies_in_the_next_bin() -> None:
    assert _bin(0.3 + 1e-8, 10) == 3


@pytest.mark.parametrize("num_bins", [1, 2, 10, 15, 1000])
def test_ends(num_bins: int) -> None:
    assert _bin(0.0, num_bins) == _bin(np.nextafter(0.0, 1.0), num_bins) == 0
    assert _bin(1.0, num_bins) == _bin(np.nextafter(1.0, 0.0), num_bins) == num_bins - 1


def test_the_input_is_left_alone() -> None:
    confidence = np.array([0.2, 0.7])
    equal_width_bins(confidence, 10)
    assert confidence.tolist() == [0.2, 0.7]


def test_every_value_is_in_the_bin_that_spans_it() -> None:
    confidence = np.random.default_rng(0).random(10_000)
    index = equal_width_bins(confidence, 15)
    assert (index / 15 < confidence).all()
    assert (confidence <= (index + 1) / 15).all()


def test_tie_groups() -> None:
    starts, group = tie_groups(np.array([0.1, 0.1, 0.2, 0.3, 0.3]))
    assert starts.tolist() == [0, 2, 3]
    assert group.tolist() == [0, 0, 1, 2, 2]


def test_group_sums_of_many_rows() -> None:
    values = np.array([[1.0, 2.0, 4.0], [1.0, 0.0, 1.0]])
    assert group_sums(values, np.array([0, 2])).tolist() == [[3.0, 4.0], [1.0, 1.0]]
    assert group_sums(values, np.arange(3)).tolist() == values.tolist()


def test_equal_mass_bins_of_distinct_values_differ_by_one_at_most() -> None:
    for count in range(1, 60):
        sizes = np.bincount(equal_mass_bins(np.ones(count), 7), minlength=7)
        assert sizes.sum() == count
        assert np.ptp(sizes) <= 1


def test_a_group_lies_in_the_bin_of_its_lowest_document() -> None:
    # 8 documents in 4 bins of 2: the group of 5 begins at rank 1, in bin 0; the next at rank 6.
    assert equal_mass_bins(np.array([1.0, 5.0, 1.0, 1.0]), 4).tolist() == [0, 0, 3, 3]


def test_equal_mass_bins_do_not_change_with_duplication() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        mass = rng.integers(1, 5, size=rng.integers(1, 30)).astype(float)
        once = equal_mass_bins(mass, 15)
        for times in (0.1, 2, 3, 7):
            assert (equal_mass_bins(mass * times, 15) == once).all()


def test_sums_and_counts_per_bin() -> None:
    index, values = np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0])
    weight = np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]])
    assert bin_sums(index, values, 3, None).tolist() == [1.0, 0.0, 5.0]
    assert bin_sums(index, values, 3, weight[1]).tolist() == [2.0, 0.0, 3.0]
    assert bin_sums(index, values, 3, weight).tolist() == [[1.0, 0.0, 5.0], [2.0, 0.0, 3.0]]
    assert bin_counts(index, 3, None).tolist() == [1.0, 0.0, 2.0]
    assert bin_counts(index, 3, weight).tolist() == [[1.0, 0.0, 2.0], [2.0, 0.0, 1.0]]
