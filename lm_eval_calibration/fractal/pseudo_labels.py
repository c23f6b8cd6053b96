"""The most probable labels of a response's sentences, given its own.

Under independent sentences: exact, not a search (Makhija et al., 2025, section on pseudo-labels;
`avg` and ordered classes are ours). To turn a label over costs |log(p / (1 - p))|, so where the
likeliest labels contradict the response's, the cheapest change is at the extreme sentence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.aggregates import AGGREGATES
from lm_eval_calibration.predictions import Floats

Labels = NDArray[np.intp]


def pseudo_labels(probabilities: ArrayLike, label: float, aggregate: str) -> Labels:
    """The most probable 0/1 labels (n,) whose aggregate is the response's label.

    Args:
        probabilities: (n,) of each sentence being right, n at least 1.
        label: of the response: 0 or 1; for `avg` any share, of which the nearest n-th is taken.
        aggregate: `min`, `max` or `avg`.

    Raises:
        InvalidInputError: an unknown aggregate, no sentences, or a label that cannot be.

    >>> pseudo_labels([0.9, 0.6, 0.8], 0, "min").tolist()
    [1, 0, 1]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 1 or not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise invalid("probabilities", "numbers from 0 to 1, at least one", probabilities)
    if aggregate not in AGGREGATES:
        raise invalid("aggregate", ", ".join(AGGREGATES), f"`{aggregate}`")
    if not 0 <= label <= 1 or (aggregate != "avg" and label not in (0, 1)):
        raise invalid("label", "0 or 1" if aggregate != "avg" else "from 0 to 1", label)
    if aggregate == "avg":
        return _largest(p, int(np.floor(len(p) * label + 0.5)))
    if aggregate == "max":
        return 1 - _min(1 - p, 1 - int(label))
    return _min(p, int(label))


def ordered_pseudo_labels(probabilities: ArrayLike, label: int, aggregate: str) -> Labels:
    """The most probable classes (n,) of which the largest (or least) is the response's class.

    Args:
        probabilities: (n, C) of each sentence's class, in their order.
        label: the response's class, from 0 to C - 1.
        aggregate: `max` or `min`.

    Raises:
        InvalidInputError: another aggregate, or a class that there is not.

    >>> ordered_pseudo_labels([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]], 2, "max").tolist()
    [0, 2]
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or not p.size:
        raise invalid("probabilities", "of shape (n, C)", p.shape)
    if not 0 <= label < p.shape[1]:
        raise invalid("label", f"a class from 0 to {p.shape[1] - 1}", label)
    if aggregate not in ("min", "max"):
        raise invalid("aggregate", "min or max", f"`{aggregate}`")
    if aggregate == "min":
        last = p.shape[1] - 1
        return last - ordered_pseudo_labels(p[:, ::-1], last - label, "max")
    return _ordered_max(p[:, : label + 1], label)


def _ordered_max(p: Floats, label: int) -> Labels:
    found = p.argmax(axis=1)
    if (found < label).all():
        with np.errstate(divide="ignore"):
            cost = np.log(p.max(axis=1)) - np.log(p[:, label])
        found[np.nanargmin(cost)] = label
    return found


def _min(p: Floats, label: int) -> Labels:
    if label == 1:
        return np.ones(len(p), dtype=np.intp)
    found = (p > 0.5).astype(np.intp)
    if found.all():
        found[p.argmin()] = 0
    return found


def _largest(p: Floats, count: int) -> Labels:
    found = np.zeros(len(p), dtype=np.intp)
    found[np.argsort(-p, kind="stable")[:count]] = 1
    return found
