"""What people have of beliefs, as `Predictions`: arrays, lists, tensors, columns of data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_calibration.arrays import as_array
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.ragged import Ragged
from lm_eval_calibration.scales import RANGES, SCALES, found, logits, outside

Beliefs: TypeAlias = "Predictions | ArrayLike | Sequence[ArrayLike]"
"""`Predictions`; or (N,) confidences, (N, K) numbers of options, or N rows of different lengths."""
HOW = (
    "Give what was true as `truth`: of (N, K) options the right one of each document, of (N,) confidences whether each "
    "answer is right; or make a `Predictions` (`from_options`, `from_confidences`, `from_scores`, `load_samples`)"
)


def as_predictions(
    beliefs: Beliefs, truth: ArrayLike | None = None, *, scale: str | None = None
) -> Predictions:
    """Beliefs and what was true.

    Args:
        beliefs: `Predictions`, which are returned as they are; (N,) confidences in [0, 1]; or a number for
            each option, (N, K) or in N rows of different lengths.
        truth: of options the index of each document's right one, from 0, or a sequence of them, or (N, K) 1
            where an option is right; of confidences whether each answer is right.
        scale: of options' numbers: `probs`, `log_probs` or `logits`; told from them where that can be told.

    Raises:
        InvalidInputError: no `truth`, or one beside `Predictions`; numbers that the scale does not have, or
            that may be of two; as the constructors of `Predictions`.

    >>> as_predictions([[0.2, 0.8], [0.9, 0.1]], [1, 1]).correct.tolist()
    [True, False]
    >>> as_predictions([0.9, 0.6], [True, False]).confidence.tolist()
    [0.9, 0.6]
    """
    if isinstance(beliefs, Predictions):
        if truth is not None:
            raise invalid("truth", "left out", "given", "`Predictions` know what was true.")
        return beliefs
    if scale not in (None, *SCALES):
        raise invalid("scale", f"one of {', '.join(SCALES)}", repr(scale))
    if truth is None:
        raise InvalidInputError(f"`truth` is missing. {HOW}.")
    rows = _rows(beliefs)
    if isinstance(rows, np.ndarray) and rows.ndim == 1:
        return _of_confidences(rows, _plain(truth))
    flat = _flat(rows)
    told = found(flat, np.arange(len(flat))).scale if scale is None else scale
    if outside(told, flat.values).any():
        first = flat.values[outside(told, flat.values)][0]
        raise invalid("beliefs", f"{RANGES[told]} (scale `{told}`)", first)
    values = Ragged(logits(told, flat.values), flat.count)
    return Predictions.from_options(list(values), _truth(truth, flat.count))


def _of_confidences(confidence: Any, truth: Any) -> Predictions:
    largest = float(confidence.max(initial=0.0))
    if 1 < largest <= 100 and confidence.min() >= 0:
        hint = "If these are percentages, divide them by 100; scores of any size are `Predictions.from_scores`."
        raise invalid("beliefs", "confidences in [0, 1]", f"values up to {largest:g}", hint)
    return Predictions.from_confidences(confidence, truth)


def _rows(beliefs: Any) -> Any:
    """An array of one or two dimensions, or a list of rows."""
    try:
        plain = _plain(beliefs)
        if not len(plain):
            raise invalid("beliefs", "of one document at least", "none")
        if not (isinstance(plain, np.ndarray) and plain.dtype != object):
            return [np.asarray(_plain(row), dtype=np.float64) for row in plain]
        plain = plain.astype(np.float64)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidInputError):
            raise
        shown = repr(beliefs)
        raise invalid(
            "beliefs", "`Predictions`, or numbers", shown if len(shown) < 60 else f"{shown[:60]}..."
        ) from None
    if plain.ndim in (1, 2):
        return plain
    raise invalid("beliefs", "of one or two dimensions", f"{plain.ndim}")


def _plain(values: Any) -> Any:
    """Numbers of a tensor or a data frame as an array; a list of rows of one length likewise."""
    values = as_array(values)
    if isinstance(values, np.ndarray):
        return values
    listed = list(values)
    lengths = {len(row) if hasattr(row, "__len__") else -1 for row in listed}
    return np.asarray(listed) if len(lengths) == 1 else listed


def _flat(rows: Any) -> Ragged:
    if isinstance(rows, np.ndarray):
        return Ragged(rows.ravel(), np.full(len(rows), rows.shape[1], dtype=np.intp))
    return Ragged(np.concatenate(rows), np.array([len(row) for row in rows], dtype=np.intp))


def _truth(truth: Any, count: NDArray[np.intp]) -> list[list[int]]:
    """The indices of each document's right options, of which it has so many."""
    plain = _plain(truth)
    if len(plain) != len(count):
        raise invalid("truth", f"one entry for each of {len(count)} documents", f"{len(plain)}")
    if _is_mask(plain, count):
        return [np.flatnonzero(row).tolist() for row in plain]
    try:
        found = [[int(i) for i in np.atleast_1d(np.asarray(each, np.float64))] for each in plain]
        whole = all(np.array_equal(np.atleast_1d(a), b) for a, b in zip(plain, found, strict=True))
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise invalid("truth", "an option's index for each document", repr(list(plain[:3])))
    for number, (options, rights) in enumerate(zip(count, found, strict=True)):
        if any(not 0 <= right < options for right in rights):
            raise invalid(
                f"truth[{number}]",
                f"an option's index, from 0 to {options - 1}",
                str(rights[0] if len(rights) == 1 else rights),
                "Options are counted from 0; leave out documents of which the right one is not known.",
            )
    return found


def _is_mask(truth: Any, count: NDArray[np.intp]) -> bool:
    """Whether it says of each option whether it is right."""
    of_a_shape = isinstance(truth, np.ndarray) and truth.ndim == 2 and truth.dtype != object
    return of_a_shape and (count == truth.shape[1]).all() and bool(np.isin(truth, (0, 1)).all())
