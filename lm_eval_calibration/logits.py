"""Scores of options, from whatever rows they come in to log-probabilities; which options are right."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.ragged import Block, Ragged, starts_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

Gold = int | Sequence[int]
"""The right option of one document, or all its right options. Indices outside the options
(the harness writes -100 there) mean that no option is right."""


def widen(columns: Any, width: int, filling: float | bool) -> Any:
    """(N, K) with columns of `filling` added up to `width`."""
    return np.pad(columns, ((0, 0), (0, width - columns.shape[1])), constant_values=filling)


def flat(logits: Any) -> Ragged:
    """Rows of options' scores, (N, K) or ragged, one after another as numbers.

    Raises:
        InvalidInputError: no documents, one without options, or a row that is not one of numbers.
    """
    if isinstance(logits, np.ndarray) and logits.ndim == 2 and logits.size:
        count = np.full(len(logits), logits.shape[1], dtype=np.intp)
        return Ragged(logits.astype(np.float64).ravel(), count)
    rows = [np.asarray(row, dtype=np.float64) for row in logits]
    if not rows:
        raise invalid("logits", "one row per document", "no documents")
    for i, row in enumerate(rows):
        if row.ndim != 1:
            raise invalid("logits", "a sequence of numbers per document", f"{row!r} (row {i})")
    num_options = np.array([row.size for row in rows], dtype=np.intp)
    if not num_options.all():
        raise invalid(
            "logits", "at least one option per document", f"none in row {num_options.argmin()}"
        )
    return Ragged(np.concatenate(rows), num_options)


def check_logits(matrix: Floats, block: Block) -> None:
    """Refuse scores (N, K) of documents that are NaN, infinite, or -inf for all their options."""
    bad = np.isnan(matrix) | (matrix == np.inf)
    if bad.any():
        row, option = (int(i) for i in np.argwhere(bad)[0])
        raise invalid(
            "logits",
            "finite or -inf",
            f"{matrix[row, option]} (row {block.row(row)}, option {option})",
        )
    dead = np.isneginf(matrix).all(axis=1)
    if dead.any():
        row = int(dead.argmax())
        raise invalid(
            "logits",
            "above -inf for at least one option",
            f"-inf for all {block.count[row]} options of row {block.row(row)}",
        )


def log_softmax(padded: Floats) -> Floats:
    """(N, K) log-probabilities of scores that are -inf beyond a document's options."""
    with np.errstate(over="ignore"):  # more than 1e308 below the best is probability 0
        shifted = padded - padded.max(axis=1, keepdims=True)
    return shifted - np.log(row_sums(np.exp(shifted)))[:, None]


def length_normalised(logits: ArrayLike, lengths: ArrayLike) -> Floats:
    """Log-likelihood per unit of length, (K,) or (N, K): the score behind `acc_norm` and `acc_bytes`.

    An empty option has none: like the harness's division by zero it gets -inf, unless
    all options of the document are empty, which leaves the log-likelihoods as they are.
    """
    scores, counts = np.asarray(logits, dtype=np.float64), np.asarray(lengths, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        normalised = np.where(counts > 0, scores / counts, -np.inf)
    return np.where(counts.any(axis=-1, keepdims=True), normalised, scores)


def row_sums(terms: Floats) -> Floats:
    """(N,) sums of non-negative rows (N, K), the same to the last bit in any order of the options.

    Largest first and one by one, so that padding (zeros) cannot change the rounding either: a
    document has the same confidence alone and beside documents with more options.
    """
    return np.cumsum(-np.sort(-terms, axis=1), axis=1)[:, -1]


def gold_mask(gold: Sequence[Gold], num_options: Ints) -> Bools:
    """(T,) which options are gold; indices outside a row's options mark nothing."""
    starts = starts_of(num_options)
    mask = np.zeros(int(starts[-1]), dtype=bool)
    if all(isinstance(index, (int, np.integer)) for index in gold):
        only = np.array(gold, dtype=np.intp)
        rows = np.flatnonzero((only >= 0) & (only < num_options))
        mask[starts[rows] + only[rows]] = True
        return mask
    for row, (indices, count) in enumerate(zip(gold, num_options, strict=True)):
        for index in _indices(indices, row):
            if 0 <= index < count:
                mask[starts[row] + index] = True
    return mask


def _indices(gold: Gold, row: int) -> list[int]:
    """The gold entry of one row as a list of indices."""
    try:
        return [operator.index(i) for i in (gold if isinstance(gold, Iterable) else (gold,))]
    except TypeError:
        expected = "an option's index, or a sequence of them, per document"
        raise invalid("gold", expected, f"{gold!r} (row {row})") from None
