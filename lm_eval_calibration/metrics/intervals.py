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


def bootstrap_spread(
    value: float, draws: Array, centre: float, biased_upwards: bool, noise: float | None = None
) -> Spread:
    """Deviation of the replicates (B,) of `value`, and the interval that suits the metric.

    Args:
        value: the metric on all documents; without one there is no spread.
        draws: the metric on the replicates; where it is undefined they are left out.
        centre: the value that the replicates are drawn around: that of all documents once, cells
            and grids being as coarse as in the replicates.
        biased_upwards: see `catalogue.Metric`.
        noise: of a calibration error, what noise alone makes of it: the mean of its null draws.
    """
    errors = draws[np.isfinite(draws)]
    if len(errors) < 2 or math.isnan(value):
        return NONE
    stderr, errors = float(errors.std(ddof=1)), errors - centre
    low, high = (basic_interval if biased_upwards else percentile_interval)(value, errors)
    if noise is None and not biased_upwards:
        return Spread(stderr, low, high)
    added = noise**2 / value if noise and value else 0.0
    return Spread(stderr, min(low, value - added - 1.96 * stderr), max(high, value + 1.96 * stderr))


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


def mean_stderr(values: Array, clusters: Array | None = None) -> float:
    """Standard error of the mean of `values` (N,); of documents in `clusters` (N,) by their sums.

    NaN of one cluster alone. Where each document is alone the two are equal. Source: Miller, "Adding
    error bars to evals", 2024, section 2.2, with the factor C / (C - 1) of C clusters.
    """
    if clusters is None:
        return float(values.std(ddof=1) / np.sqrt(len(values)))
    _, number = np.unique(clusters, return_inverse=True)
    sums = np.bincount(number, values - values.mean())
    if len(sums) < 2:
        return math.nan
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(values))


def detectable(stderr: float, power: float = 0.8) -> float:
    """The smallest difference that a two-sided test at .05 would show so often, given its standard error.

    >>> round(detectable(0.01), 4)
    0.028
    """
    from scipy.special import ndtri

    return float((ndtri(1.0 - _TAIL) + ndtri(power)) * stderr)


def normal_spread(value: float, stderr: float, quantile: float = 1.96) -> Spread:
    """The spread of a mean: so many standard errors on either side."""
    return Spread(stderr, value - quantile * stderr, value + quantile * stderr)


def student(clusters: int) -> float:
    """By so many standard errors a mean of so few clusters is known: Student's quantile at .975.

    >>> round(student(10), 2), round(student(100_000), 2)
    (2.26, 1.96)
    """
    from scipy.special import stdtrit

    return float(stdtrit(max(clusters - 1, 1), 1.0 - _TAIL))


def band(draws: Array) -> Spread:
    """Deviation and central 95 % of null draws (B,); undefined ones are left out."""
    defined = draws[np.isfinite(draws)]
    if not len(defined):
        return NONE
    low, high = np.quantile(defined, [_TAIL, 1.0 - _TAIL])
    stderr = float(defined.std(ddof=1)) if len(defined) > 1 else math.nan
    return Spread(stderr, float(low), float(high))
