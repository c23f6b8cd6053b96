"""What every metric obeys."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from lm_eval_calibration.metrics.catalogue import METRICS
from lm_eval_calibration.metrics.evaluate import evaluate
from lm_eval_calibration.metrics.families import Columns
from lm_eval_calibration.metrics.metric import Metric, what_is_wrong
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing.calibrators import any_documents, overconfident
from lm_eval_calibration.testing.laws import can_be_named, holds, law

CASES = 25
ROUNDING = 5e-9
COARSE = 2e-3
"""So much coarser a metric may be where it is given many sets of weights at once."""


def check_metric(metric: Metric, *, size_matters: bool = False, cases: int = CASES) -> None:
    """Hold a metric to its contract.

    Args:
        metric: as in `metrics.metric`.
        size_matters: whether so many copies of all documents may have another value, as of a metric that
            subtracts its sampling noise.
        cases: sets of documents that are drawn: ragged options, ties, certainties, probabilities 0.

    Raises:
        AssertionError: a law is broken; the message says which.
    """
    _is_a_member(metric)
    with METRICS.added(metric):
        bound = bind(metric.name if metric.default is None else f"{metric.name}_{metric.default}")
        for seed in range(cases):
            rng = np.random.default_rng(seed)
            drawn = any_documents(rng)
            _is_a_number(bound, drawn)
            _order_is_nothing(bound, drawn, rng)
            _weights_are_copies(bound, drawn, rng)
            if not size_matters:
                _copies_are_nothing(bound, drawn)
            _is_logged(bound, drawn)
        _has_an_error_bar(bound, overconfident(60))


@law
def _is_a_member(metric: Any) -> None:
    """It must be a `Metric` that can be named, and says what it is."""
    can_be_named(metric, what_is_wrong(metric), METRICS)
    holds((metric.parameter is None) == (metric.default is None), "`parameter` needs a `default`")


@law
def _is_a_number(bound: BoundMetric, drawn: Predictions) -> None:
    """A value is a number within `bounds`, or NaN where it is undefined."""
    value, (low, high) = _score(bound, drawn), bound.metric.bounds
    holds(
        math.isnan(value) or low - ROUNDING <= value <= high + ROUNDING,
        f"a value must lie in {low} to {high}, got {value}",
    )


@law
def _order_is_nothing(bound: BoundMetric, drawn: Predictions, rng: np.random.Generator) -> None:
    """The order of documents is nothing."""
    other = drawn.take(rng.permutation(len(drawn)))
    _same(_score(bound, drawn), _score(bound, other), "documents in another order")


@law
def _weights_are_copies(bound: BoundMetric, drawn: Predictions, rng: np.random.Generator) -> None:
    """`weight` (N,) is a document's number of copies, and (B, N) so many sets of them, (B,) values out."""
    times = rng.integers(0, 4, (3, len(drawn)))
    times[:, 0] = 1
    columns = bound.arguments(_read(bound, drawn))
    each = [float(bound.score(*columns, weight=weight.astype(float))) for weight in times]
    for value, weight in zip(each, times, strict=True):
        copies = drawn.take(np.repeat(np.arange(len(drawn)), weight))
        _same(_score(bound, copies), value, "whole weights")
    together = np.asarray(bound.score(*columns, weight=times.astype(float)))
    holds(together.shape == (3,), f"3 sets of weights must have 3 values, got {together.shape}")
    for value, one in zip(together, each, strict=True):
        _same(one, float(value), "several sets of weights at once", COARSE)


@law
def _copies_are_nothing(bound: BoundMetric, drawn: Predictions) -> None:
    """As many copies of each document change nothing."""
    copies = drawn.take(np.tile(np.arange(len(drawn)), 3))
    _same(_score(bound, drawn), _score(bound, copies), "three copies of each document")


@law
def _is_logged(bound: BoundMetric, drawn: Predictions) -> None:
    """What the harness logs of a document is JSON, and gives the value again."""
    rows = json.loads(json.dumps(bound.rows(drawn)))
    _same(_score(bound, drawn), bound.value(bound.columns(rows)), "logged documents")


@law
def _has_an_error_bar(bound: BoundMetric, drawn: Predictions) -> None:
    """An estimate has an interval around its value, unless it says why not."""
    found = evaluate(drawn, [bound.name], replicates=200)[bound.name]
    if math.isnan(found.value) or bound.metric.no_interval:
        return
    holds(
        found.low - ROUNDING <= found.value <= found.high + ROUNDING,
        f"a value must lie in its interval, got {found.value} and {found.low} to {found.high}",
    )


def _read(bound: BoundMetric, drawn: Predictions) -> Columns:
    return bound.metric.family.read(drawn)


def _score(bound: BoundMetric, drawn: Predictions) -> float:
    return float(bound.value(_read(bound, drawn)))


def _same(one: float, other: float, what: str, close: float = ROUNDING) -> None:
    holds(
        bool(np.isclose(one, other, rtol=1e-9, atol=close, equal_nan=True)),
        f"{what} must have the same value, got {one} and {other}",
    )
