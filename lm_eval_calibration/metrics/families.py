"""What a metric reads from `Predictions`, and how its error bar and null draws are made.

Five families cover every metric:

- PAIRS: (confidence, correct) of the predicted option;
- TOP_LABEL: the same and the predicted option's position;
- OPTIONS: all probabilities and the gold options;
- ACCURACY: PAIRS of which `acc` is the mean, with the harness's error bar;
- values(...): one number per document, of which the metric is the mean.

A family turns predictions into *columns* (arrays over documents, the metric's arguments) and
columns into *rows* (one small JSON value per document, what the harness logs) and back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import accuracy, proper, resampling
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.resampling import Spread
from lm_eval_calibration.predictions import Predictions

Columns = tuple[Array, ...]
Score = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Family:
    """How one kind of metric reads documents and estimates its uncertainty.

    Attributes:
        read: predictions to columns.
        to_rows: columns to one JSON value per document.
        from_rows: the inverse, from the values that the harness gathered.
        spread: standard error and 95 % interval of a score of known value on columns.
        null: (replicates,) scores of a perfectly calibrated model with the same beliefs, or
            `None` where the columns do not determine them.
        example: rows of two documents, to try a metric's options on before any inference.
        needs_options: whether it reads more than (confidence, correct).
    """

    read: Callable[[Predictions], Columns]
    to_rows: Callable[[Columns], list[Any]]
    from_rows: Callable[[Sequence[Any]], Columns]
    spread: Callable[[Score, Columns, int, float], Spread]
    null: Callable[[Score, Columns, int], Array | None]
    example: Sequence[Any]
    needs_options: bool = True


def _labelled_spread(score: Score, columns: Columns, replicates: int, value: float) -> Spread:
    """Bootstrap of a score of (confidence, label...) columns."""
    group = resampling.cells(*columns)
    weight = resampling.bootstrap_weights(group.counts, replicates)
    return resampling.spread(value, score(group.confidence, *group.labels, weight=weight))


def _labelled_null(score: Score, columns: Columns, replicates: int) -> Array:
    """Scores when each document is right with probability equal to its confidence."""
    confidence, _, *labels = columns
    group = resampling.cells(confidence, *labels)
    weight = resampling.null_weights(group, replicates)
    n = len(group.counts)
    correct = np.repeat([1.0, 0.0], n)
    twice = [np.tile(column, 2) for column in (group.confidence, *group.labels)]
    return score(twice[0], correct, *twice[1:], weight=weight)


def _read_options(predictions: Predictions) -> Columns:
    if predictions.probabilities is None or predictions.num_options is None:
        raise _needs_options()
    k = np.arange(predictions.probabilities.shape[1])
    has = k < predictions.num_options[:, None]
    return np.where(has, predictions.probabilities, np.nan), predictions.gold  # type: ignore[return-value]


def _option_rows(columns: Columns) -> list[Any]:
    return [
        [p[~np.isnan(p)].tolist(), np.flatnonzero(g).tolist()]
        for p, g in zip(*columns, strict=True)
    ]


def _options_from_rows(rows: Sequence[Any]) -> Columns:
    width = max(len(p) for p, _ in rows)
    probabilities, gold = np.full((len(rows), width), np.nan), np.zeros((len(rows), width), bool)
    for row, (p, right) in enumerate(rows):
        probabilities[row, : len(p)] = p
        gold[row, list(right)] = True
    return probabilities, gold


def _options_spread(score: Score, columns: Columns, replicates: int, value: float) -> Spread:
    """Bootstrap over documents, in blocks of replicates that fit in memory."""
    n = len(columns[0])
    rng = np.random.default_rng(resampling.SEED)
    block = max(1, min(replicates, 4_000_000 // n))
    draws = []
    for start in range(0, replicates, block):
        size = min(block, replicates - start)
        picks = rng.integers(0, n, size=(size, n)) + np.arange(size)[:, None] * n
        weight = np.bincount(picks.ravel(), minlength=size * n).reshape(size, n)
        draws.append(score(*columns, weight=weight.astype(np.float64)))
    return resampling.spread(value, np.concatenate(draws))


def _options_null(score: Score, columns: Columns, replicates: int) -> Array:
    """Scores when each document's gold option is drawn from its own probabilities."""
    probabilities = columns[0]
    cumulative = np.cumsum(np.nan_to_num(probabilities), axis=1)
    rng = np.random.default_rng(resampling.SEED)
    options = np.arange(probabilities.shape[1])
    draws = np.empty(replicates)
    for i in range(replicates):
        u = rng.random(len(cumulative)) * cumulative[:, -1]
        drawn = (u[:, None] >= cumulative).sum(axis=1)
        draws[i] = score(probabilities, drawn[:, None] == options)
    return draws


def _values_spread(score: Score, columns: Columns, replicates: int, value: float) -> Spread:
    """Closed form: the standard deviation over the root of the number of documents."""
    values = columns[0][~np.isnan(columns[0])]
    if len(values) < 2 or not np.isfinite(values).all():
        return resampling.NO_SPREAD
    return resampling.normal_spread(value, float(values.std(ddof=1) / np.sqrt(len(values))))


def _accuracy_spread(score: Score, columns: Columns, replicates: int, value: float) -> Spread:
    """The harness's standard error; where all are right, or all wrong, an exact interval."""
    correct = columns[1]
    stderr = accuracy.acc_stderr(correct)
    if stderr == 0.0:
        return Spread(stderr, *accuracy.rule_of_three(correct))
    return resampling.normal_spread(value, stderr)


def _values_null(score: Score, columns: Columns, replicates: int) -> Array | None:
    """Normal draws from the exact mean and variance of a calibrated model's score."""
    if len(columns) == 1:
        return None
    scores, expected, variance = columns
    counted = ~np.isnan(scores)
    if not counted.any():
        return None
    scale = np.sqrt(variance[counted].sum()) / counted.sum()
    rng = np.random.default_rng(resampling.SEED)
    return np.maximum(rng.normal(expected[counted].mean(), scale, size=replicates), 0.0)


def _value_rows(columns: Columns) -> list[Any]:
    return [None if np.isnan(v) else float(v) for v in columns[0]]


def _values_from_rows(rows: Sequence[Any]) -> Columns:
    return (np.array([np.nan if v is None else v for v in rows], dtype=np.float64),)


def values(
    of: Callable[[Array, Array], Array], moments: Callable[[Array], Any], log: bool
) -> Family:
    """The family of a mean of `of(distribution, gold)`, where `log` says which distribution.

    `moments` gives each document's mean and variance under its own probabilities, for the null.
    """

    def read(predictions: Predictions) -> Columns:
        if predictions.log_probabilities is None or predictions.gold is None:
            raise _needs_options()
        logp = predictions.log_probabilities
        distribution = logp if log else np.exp(logp)
        scores = of(distribution, predictions.gold)
        if (predictions.gold.sum(axis=1) > 1).any():
            return (scores,)  # which sets of options could have been gold is not known
        return scores, *moments(distribution)

    return Family(
        read, _value_rows, _values_from_rows, _values_spread, _values_null, example=[0.5, 1.0]
    )


def _needs_options() -> InvalidInputError:
    return InvalidInputError(
        "This metric needs the probability of every option, and these predictions hold only "
        "confidences. Build them with `Predictions.from_options`."
    )


def _pair_rows(columns: Columns) -> list[Any]:
    return [[float(c), *map(int, labels)] for c, *labels in zip(*columns, strict=True)]


def _pairs_from_rows(rows: Sequence[Any]) -> Columns:
    return tuple(np.asarray(rows, dtype=np.float64).T)


def _read_top_label(predictions: Predictions) -> Columns:
    if predictions.predicted is None:
        raise _needs_options()
    return predictions.confidence, predictions.correct, predictions.predicted


PAIRS = Family(
    lambda p: (p.confidence, p.correct),
    _pair_rows,
    _pairs_from_rows,
    _labelled_spread,
    _labelled_null,
    example=[[0.5, 1], [0.4, 0]],
    needs_options=False,
)
ACCURACY = replace(PAIRS, spread=_accuracy_spread)
TOP_LABEL = Family(
    _read_top_label,
    _pair_rows,
    _pairs_from_rows,
    _labelled_spread,
    _labelled_null,
    example=[[0.5, 1, 0], [0.4, 0, 1]],
)
OPTIONS = Family(
    _read_options,
    _option_rows,
    _options_from_rows,
    _options_spread,
    _options_null,
    example=[[[0.5, 0.5], [0]], [[0.4, 0.6], [0]]],
)
NLL = values(proper.nll_values, proper.nll_moments, log=True)
BRIER = values(proper.brier_values, proper.brier_moments, log=False)
