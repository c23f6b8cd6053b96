"""From replicates to an error bar: standard error, 95 % interval, band."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.metrics.binning import Array

_TAIL = 0.025


class Spread(NamedTuple):
    """How far a value is known: its standard error, and the ends of its 95 % interval."""

    stderr: float
    low: float
    high: float

    def within(self, bounds: tuple[float, float], value: float) -> Spread:
        """The same with the interval cut to what the metric can be; it keeps holding `value`."""
        low, high = (float(end) for end in np.clip(self[1:], *bounds))
        return Spread(self.stderr, min(low, value), max(high, value))


NONE = Spread(math.nan, math.nan, math.nan)


def bootstrap_spread(value: float, draws: Array, centre: float, biased_upwards: bool) -> Spread:
    """Deviation of the replicates (B,) of `value`, and the interval that suits the metric.

    Args:
        value: the metric on all documents.
        draws: the metric on the replicates; where it is undefined they are left out.
        centre: the value that the replicates are drawn around: that of all documents once, cells
            and grids being as coarse as in the replicates.
        biased_upwards: see `catalogue.Metric`.
    """
    errors = draws[np.isfinite(draws)]
    if len(errors) < 2:
        return NONE
    stderr, errors = float(errors.std(ddof=1)), errors - centre
    interval = basic_interval if biased_upwards else percentile_interval
    return Spread(stderr, *interval(value, errors))


def percentile_interval(value: float, errors: Array) -> tuple[float, float]:
    """95 % interval of the percentile bootstrap: `value` plus the tails of the `errors` (B,).

    Good where an estimate is nearly unbiased: it has the skew of the estimate and keeps to what
    the metric can be. Source: Davison and Hinkley 1997, section 5.3.
    """
    low, high = _tails(errors)
    return min(value + low, value), max(value + high, value)


def basic_interval(value: float, errors: Array) -> tuple[float, float]:
    """95 % interval of the basic bootstrap: `value` less the tails of the `errors` (B,).

    Where a replicate is biased as the estimate itself is (a calibration error upwards), the
    percentiles carry the bias twice and may exclude the value, while this interval takes it off.
    Near its least value an estimate may lie below nearly all its replicates, hence outside even
    this interval, which is then extended to it. Source: Davison and Hinkley 1997, eq. 5.6.
    """
    low, high = _tails(errors)
    return min(value - high, value), max(value - low, value)


def _tails(errors: Array) -> tuple[float, float]:
    low, high = np.quantile(errors, [_TAIL, 1.0 - _TAIL])
    return float(low), float(high)


def symmetric_interval(difference: float, errors: Array) -> tuple[float, float]:
    """95 % interval of the symmetric bootstrap: the distance that 95 % of `errors` (B,) stay within.

    For the difference of two models. If they are alike its distribution is symmetric, whatever
    the metric's own, and this interval keeps its level where the basic one tells equal models
    apart too often. Source: Hall, JRSS B 1988, on symmetric bootstrap intervals.
    """
    rank = max(math.ceil(2 * _TAIL * (len(errors) + 1)) - 1, 1)
    distance = float(np.sort(np.abs(errors))[-rank])
    return difference - distance, difference + distance


def p_value(difference: float, errors: Array) -> float:
    """Two-sided p-value of "it is 0": the share of errors (B,) as large as the difference itself.

    The observed one is counted among them. Below .05 exactly where 0 is outside
    `symmetric_interval` (of 20 replicates or more).
    """
    return float((1 + (np.abs(errors) >= abs(difference)).sum()) / (len(errors) + 1))


def normal_spread(value: float, stderr: float) -> Spread:
    """The spread of a mean: 1.96 standard errors on either side."""
    return Spread(stderr, value - 1.96 * stderr, value + 1.96 * stderr)


def band(draws: Array) -> Spread:
    """Deviation and central 95 % of null draws (B,); undefined ones are left out."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return NONE
    low, high = np.quantile(defined, [_TAIL, 1.0 - _TAIL])
    stderr = float(defined.std(ddof=1)) if len(defined) > 1 else math.nan
    return Spread(stderr, float(low), float(high))
