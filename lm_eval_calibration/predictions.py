"""`Predictions`: what a model believed about each document, and what was true."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_calibration.errors import invalid

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

Gold = int | Sequence[int]
"""The right option of one document, or all its right options. Indices outside the options
(the harness writes -100 there) mean that no option is right."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Beliefs about N documents, row by row.

    Build it with `from_options` (multiple choice) or `from_confidences` (one confidence per
    answer); the constructor does not validate.

    Attributes:
        confidence: (N,) probability of the predicted option, or the stated confidence.
        correct: (N,) whether the predicted option is a gold one. Its mean is the harness's `acc`.
        predicted: (N,) index of the predicted option; `None` where only confidences are known.
        log_probabilities: (N, K) log-softmax over the options, -inf where a document has fewer
            than K options (and where an option has probability 0); `None` as above.
        gold: (N, K) which options are right. A row may have several, or none when the data
            set's answer key points outside the options; `None` as above.
        num_options: (N,) how many of the K columns are options; `None` as above.
    """

    confidence: Floats
    correct: Bools
    predicted: Ints | None = None
    log_probabilities: Floats | None = None
    gold: Bools | None = None
    num_options: Ints | None = None

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def probabilities(self) -> Floats | None:
        """(N, K) softmax over the options; 0 in the padding."""
        return None if self.log_probabilities is None else np.exp(self.log_probabilities)

    def take(self, rows: Ints) -> Predictions:
        """The documents of some rows, in their order."""

        def part(column: Any) -> Any:
            return None if column is None else column[rows]

        return Predictions(*(part(getattr(self, f.name)) for f in fields(self)))

    @classmethod
    def from_options(
        cls,
        logits: ArrayLike | Sequence[ArrayLike],
        gold: Sequence[Gold],
    ) -> Predictions:
        """Predictions from the score of every option.

        Args:
            logits: N rows of option log-likelihoods (any additive constant per row is fine).
                Rows may differ in length: ARC has documents with 3, 4 and 5 options.
                -inf means probability 0.
            gold: for each row the index of the right option, or a sequence of indices.

        The prediction is the first option with the largest logit, as the harness's `acc` has it.

        Raises:
            InvalidInputError: a NaN or +inf logit, a document whose options are all -inf, no
                documents at all, or as many gold entries as rows do not exist.

        >>> p = Predictions.from_options([[0.0, 0.0], [2.0, 0.0, -1.0]], [1, 0])
        >>> p.confidence.round(3).tolist(), p.correct.tolist()
        ([0.5, 0.844], [False, True])
        """
        padded, num_options = _pad(logits)
        if len(gold) != len(padded):
            raise invalid("gold", f"one entry for each of the {len(padded)} documents", len(gold))
        return cls.from_padded(padded, num_options, _gold_mask(gold, num_options, padded.shape[1]))

    @classmethod
    def from_padded(cls, logits: Floats, num_options: Ints, gold: Bools) -> Predictions:
        """Predictions from arrays: what `from_options` makes of its rows first.

        Args:
            logits: (N, K) option log-likelihoods, -inf beyond a document's options.
            num_options: (N,) how many of the K columns are options.
            gold: (N, K) which options are right; False beyond a document's options.

        Raises:
            InvalidInputError: as `from_options`.
        """
        _check_logits(logits, num_options)
        log_probabilities = _log_softmax(logits)
        predicted = logits.argmax(axis=1)
        rows = np.arange(len(logits))
        return cls(
            confidence=np.exp(log_probabilities[rows, predicted]),
            correct=gold[rows, predicted],
            predicted=predicted,
            log_probabilities=log_probabilities,
            gold=gold,
            num_options=num_options,
        )

    @classmethod
    def from_confidences(cls, confidence: ArrayLike, correct: ArrayLike) -> Predictions:
        """Predictions of which only a confidence and the verdict are known.

        Args:
            confidence: (N,) probabilities in [0, 1].
            correct: (N,) booleans, or 0 and 1.

        Raises:
            InvalidInputError: lengths differ, a confidence lies outside [0, 1] or is NaN, a
                verdict is neither 0 nor 1, or there are no rows.
        """
        c = np.asarray(confidence, dtype=np.float64)
        y = np.asarray(correct, dtype=np.float64)
        if c.ndim != 1 or c.shape != y.shape or not c.size:
            raise invalid("confidence", "as long as `correct` and not empty", (c.shape, y.shape))
        if not (c.min() >= 0 and c.max() <= 1):
            raise invalid("confidence", "in [0, 1]", f"values from {c.min()} to {c.max()}")
        if not np.isin(y, (0.0, 1.0)).all():
            raise invalid("correct", "0 or 1 (false or true)", np.unique(y)[:5].tolist())
        return cls(confidence=c, correct=y.astype(bool))

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """The documents of several predictions, one after another.

        Tasks with different numbers of options are padded to the largest. If one of the parts
        holds confidences only, so does the result.

        >>> a = Predictions.from_options([[0.0, 1.0]], [1])
        >>> b = Predictions.from_options([[0.0, 1.0, 2.0]], [0])
        >>> Predictions.concatenate([a, b]).num_options.tolist()
        [2, 3]
        """
        if len(parts) == 1:
            return parts[0]
        confidence = np.concatenate([p.confidence for p in parts])
        correct = np.concatenate([p.correct for p in parts])
        if any(p.log_probabilities is None for p in parts):
            return cls(confidence, correct)
        width = max(p.log_probabilities.shape[1] for p in parts)  # type: ignore[union-attr]
        return cls(
            confidence=confidence,
            correct=correct,
            predicted=np.concatenate([p.predicted for p in parts]),
            log_probabilities=np.concatenate(
                [widen(p.log_probabilities, width, -np.inf) for p in parts]
            ),
            gold=np.concatenate([widen(p.gold, width, False) for p in parts]),
            num_options=np.concatenate([p.num_options for p in parts]),
        )


def widen(columns: Any, width: int, filling: float | bool) -> Any:
    """(N, K) with columns of `filling` added up to `width`."""
    return np.pad(columns, ((0, 0), (0, width - columns.shape[1])), constant_values=filling)


def _pad(logits: Any) -> tuple[Floats, Ints]:
    """Stack ragged rows into (N, K), -inf beyond each row's end; and the row lengths."""
    if isinstance(logits, np.ndarray) and logits.ndim == 2 and logits.size:
        return logits.astype(np.float64), np.full(len(logits), logits.shape[1], dtype=np.intp)
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
    padded = np.full((len(rows), int(num_options.max())), -np.inf)
    padded[np.arange(padded.shape[1]) < num_options[:, None]] = np.concatenate(rows)
    return padded, num_options


def _check_logits(padded: Floats, num_options: Ints) -> None:
    bad = np.isnan(padded) | (padded == np.inf)
    if bad.any():
        row, option = (int(i) for i in np.argwhere(bad)[0])
        raise invalid(
            "logits", "finite or -inf", f"{padded[row, option]} (row {row}, option {option})"
        )
    dead = np.isneginf(padded).all(axis=1)
    if dead.any():
        row = int(dead.argmax())
        raise invalid(
            "logits",
            "above -inf for at least one option",
            f"-inf for all {num_options[row]} options of row {row}",
        )


def _log_softmax(padded: Floats) -> Floats:
    with np.errstate(over="ignore"):  # more than 1e308 below the best is probability 0
        shifted = padded - padded.max(axis=1, keepdims=True)
    return shifted - np.log(row_sums(np.exp(shifted)))[:, None]


def length_normalised(logits: ArrayLike, lengths: ArrayLike) -> Floats:
    """Log-likelihood per character, (K,) or (N, K): the score behind the harness's `acc_norm`.

    An empty option has no characters: like the harness's division by zero it gets -inf, unless
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


def _gold_mask(gold: Sequence[Gold], num_options: Ints, width: int) -> Bools:
    """(N, width) one-hot of the gold options; indices outside a row's options mark nothing."""
    mask = np.zeros((len(gold), width), dtype=bool)
    if all(isinstance(index, (int, np.integer)) for index in gold):
        only = np.array(gold, dtype=np.intp)
        rows = np.flatnonzero((only >= 0) & (only < num_options))
        mask[rows, only[rows]] = True
        return mask
    for row, (indices, count) in enumerate(zip(gold, num_options, strict=True)):
        for index in _indices(indices, row):
            if 0 <= index < count:
                mask[row, index] = True
    return mask


def _indices(gold: Gold, row: int) -> list[int]:
    """The gold entry of one row as a list of indices."""
    try:
        return [operator.index(i) for i in (gold if isinstance(gold, Iterable) else (gold,))]
    except TypeError:
        expected = "an option's index, or a sequence of them, per document"
        raise invalid("gold", expected, f"{gold!r} (row {row})") from None
