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
from lm_eval_calibration.metrics import accuracy, intervals, proper, resampling
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.grouping import Groups
from lm_eval_calibration.metrics.intervals import Spread
from lm_eval_calibration.metrics.resampled import (
    Columns,
    Draws,
    Resampled,
    documents_bootstrap,
    documents_grouped,
    labelled_bootstrap,
    labelled_grouped,
    labelled_null,
    labelled_smoothed,
)
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.ragged import Ragged, blocks, kinds_of, starts_of


@dataclass(frozen=True, eq=False)
class Family:
    """How one kind of metric reads documents and estimates its uncertainty.

    Attributes:
        read: predictions to columns.
        to_rows: columns to one JSON value per document.
        from_rows: the inverse, from the values that the harness gathered.
        example: rows of two documents, to try a metric's options on before any inference.
        bootstrap: so many replicates of the documents.
        grouped: documents in groups, to replicates for given weights of the groups (B, G).
        null: so many draws of a perfectly calibrated model with the same beliefs; `None` where
            the columns do not determine them, or where each metric brings its own.
        smoothed: replicates that differ where all answers are right, or all wrong; of pairs.
        closed_form: the spread of a value, where no replicates are needed.
        needs_options: whether it reads more than (confidence, correct).
        averaged: whether its metric is the mean of the first column alone; what else there is, for
            the null, is not logged.
    """

    read: Callable[[Predictions], Columns]
    to_rows: Callable[[Columns], list[Any]]
    from_rows: Callable[[Sequence[Any]], Columns]
    example: Sequence[Any]
    bootstrap: Callable[[Columns, int], Resampled]
    grouped: Callable[[Columns, Groups], Callable[[Array], Resampled]]
    null: Callable[[Columns, int], Draws | None] = lambda columns, replicates: None
    smoothed: Callable[[Columns, int], Resampled] | None = None
    closed_form: Callable[[Columns, float, Groups | None], Spread] | None = None
    needs_options: bool = True
    averaged: bool = False


def _read_options(predictions: Predictions) -> Columns:
    if predictions.options is None or predictions.golds is None:
        raise _needs_options()
    p = Ragged(np.exp(predictions.options.values), predictions.options.count)
    return _option_columns(p, predictions.golds)


def _option_columns(p: Ragged, gold: Ragged) -> Columns:
    """Matrices, NaN where a document has no option; as they are, if padding would cost too much."""
    if len(kinds_of(p.count)) > 1:
        return p, gold  # type: ignore[return-value]
    return p.padded(np.nan), gold.padded(False)


def _option_rows(columns: Columns) -> list[Any]:
    return [
        [p[~np.isnan(p)].tolist(), np.flatnonzero(g).tolist()]
        for p, g in zip(*columns, strict=True)
    ]


def _options_from_rows(rows: Sequence[Any]) -> Columns:
    count = np.array([len(p) for p, _ in rows], dtype=np.intp)
    right = [start + i for start, (_, g) in zip(starts_of(count), rows, strict=False) for i in g]
    gold = np.zeros(int(count.sum()), dtype=bool)
    gold[right] = True
    probabilities = np.array([value for p, _ in rows for value in p], dtype=np.float64)
    return _option_columns(Ragged(probabilities, count), Ragged(gold, count))


def _values_spread(columns: Columns, value: float, clusters: Groups | None) -> Spread:
    """1.96 standard errors of the mean; upwards as many of the model's own, if it expects a larger loss.

    (Of a model that is nearly always right a few documents show none of the rare large losses.)
    """
    counted = ~np.isnan(columns[0])
    values = columns[0][counted]
    if len(values) < 2 or not np.isfinite(values).all():
        return intervals.NONE
    of = clusters.of_document[counted] if clusters else None
    known = intervals.student(clusters.total) if clusters else 1.96
    found = intervals.normal_spread(value, intervals.mean_stderr(values, of), known)
    if len(columns) > 1 and value < columns[1][counted].mean():
        own = float(np.sqrt(columns[2][counted].sum()) / len(values))
        return found._replace(high=max(found.high, value + 1.96 * own))
    return found


def _accuracy_spread(columns: Columns, value: float, clusters: Groups | None) -> Spread:
    """The harness's standard error; Wilson's interval of as many documents as clusters are worth."""
    correct = columns[1]
    stderr, independent = accuracy.acc_stderr(correct), float(len(correct))
    if clusters is not None:
        stderr = intervals.mean_stderr(np.asarray(correct, float), clusters.of_document)
        independent = 1 + value * (1 - value) / stderr**2 if stderr else clusters.total
        quantile = intervals.student(clusters.total)
        return Spread(stderr, *accuracy.wilson_interval(value, independent, quantile))
    return Spread(stderr, *accuracy.wilson_interval(value, independent))


def _values_null(columns: Columns, replicates: int) -> Draws | None:
    """Normal draws from the exact mean and variance of a calibrated model's score."""
    if len(columns) == 1:
        return None
    scores, expected, variance = columns
    counted = ~np.isnan(scores)
    if not counted.any():
        return None
    scale = np.sqrt(variance[counted].sum()) / counted.sum()
    rng = np.random.default_rng(resampling.SEED)
    draws = np.maximum(rng.normal(expected[counted].mean(), scale, size=replicates), 0.0)
    return lambda score: draws


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
        options, golds = predictions.options, predictions.golds
        if options is None or golds is None:
            raise _needs_options()
        right = np.add.reduceat(golds.values, starts_of(golds.count)[:-1], dtype=np.intp)
        several = (right > 1).any()  # then what else could have been gold?
        columns = tuple(np.empty(len(predictions)) for _ in range(1 if several else 3))
        for block in blocks(options.count):
            logp = block.padded(options.values, -np.inf)
            distribution = logp if log else np.exp(logp)
            scores = of(distribution, block.padded(golds.values, False))
            found = (scores,) if several else (scores, *moments(distribution))
            for column, part in zip(columns, found, strict=True):
                column[block.rows] = part
        return columns

    return Family(
        read,
        _value_rows,
        _values_from_rows,
        [0.5, 1.0],
        lambda columns, replicates: documents_bootstrap(columns[:1], replicates),
        lambda columns, groups: documents_grouped(columns[:1], groups),
        _values_null,
        closed_form=_values_spread,
        averaged=True,
    )


def _needs_options() -> InvalidInputError:
    return InvalidInputError(
        "This metric needs the probability of every option, and these predictions hold only "
        "confidences. Build them with `Predictions.from_options`."
    )


def _pair_rows(columns: Columns) -> list[Any]:
    return [[float(c), *map(int, labels)] for c, *labels in zip(*columns, strict=True)]


def _pairs_from_rows(rows: Sequence[Any]) -> Columns:
    """Columns; scores of any size (which none but rankings are given) as their ranks."""
    stated, *labels = np.asarray(rows, dtype=np.float64).T
    if stated.size and not (stated.min() >= 0 and stated.max() <= 1):
        stated = _ranks(stated)
    return stated, *labels


def _read_top_label(predictions: Predictions) -> Columns:
    if predictions.predicted is None:
        raise _needs_options()
    return predictions.confidence, predictions.correct, predictions.predicted


def _read_pairs(predictions: Predictions) -> Columns:
    """Confidences and verdicts; in the place of scores their ranks, from 0 to 1, equal ones as they were."""
    if not predictions.are_scores:
        return predictions.confidence, predictions.correct
    return _ranks(predictions.confidence), predictions.correct


def _ranks(scores: Array) -> Array:
    different, rank = np.unique(scores, return_inverse=True)
    return np.asarray(rank / max(len(different) - 1, 1))


TOP_LABEL = Family(
    _read_top_label,
    _pair_rows,
    _pairs_from_rows,
    [[0.5, 1, 0], [0.4, 0, 1]],
    labelled_bootstrap,
    labelled_grouped,
    labelled_null,
)
PAIRS = replace(
    TOP_LABEL,
    read=_read_pairs,
    example=[[0.5, 1], [0.4, 0]],
    smoothed=labelled_smoothed,
    needs_options=False,
)
ACCURACY = replace(PAIRS, closed_form=_accuracy_spread)
OPTIONS = Family(
    _read_options,
    _option_rows,
    _options_from_rows,
    [[[0.5, 0.5], [0]], [[0.4, 0.6], [0]]],
    documents_bootstrap,
    documents_grouped,
)
NLL = values(proper.nll_values, proper.nll_moments, log=True)
BRIER = values(proper.brier_values, proper.brier_moments, log=False)
