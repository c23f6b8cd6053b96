"""What a recalibrator does to documents that it was not fitted on: each fold mapped by the others'."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.calibrators.artifact import Training
from lm_eval_calibration.calibrators.calibrator import Calibrator, fit
from lm_eval_calibration.predictions import Ints, Predictions

FOLDS = 5


def cross_fit(
    method: str,
    predictions: Mapping[str, Predictions],
    fold: Mapping[str, Ints],
    *,
    per_task: bool = False,
) -> dict[str, Predictions]:
    """Every document's beliefs, mapped by a calibrator of the other folds.

    Args:
        method: see `METHODS`.
        predictions: by task.
        fold: of each document (N,), by task.
        per_task: whether each task has its own parameters.
    """
    mapped: dict[str, list[Predictions]] = {task: [] for task in predictions}
    places: dict[str, list[Ints]] = {task: [] for task in predictions}
    for k in np.unique(np.concatenate(list(fold.values()))):
        others = {t: p.take(np.flatnonzero(fold[t] != k)) for t, p in predictions.items()}
        fitted = fit_all(method, others, per_task)
        for task, p in predictions.items():
            rows = np.flatnonzero(fold[task] == k)
            if len(rows):
                mapped[task].append(fitted.transform(p.take(rows), task))
                places[task].append(rows)
    return {
        task: Predictions.concatenate(parts).take(np.argsort(np.concatenate(places[task])))
        for task, parts in mapped.items()
    }


def folds_of(hashes: NDArray[np.uint64], count: int, folds: int = FOLDS) -> Ints:
    """(N,) fold of each document: by rank of its hash, so that folds are equally large and copies stay together.

    Args:
        hashes: (N,) of documents; empty where they are not known.
        count: N.
        folds: how many.
    """
    if not len(hashes):
        return np.arange(count) % folds
    _, number = np.unique(hashes, return_inverse=True)
    return np.asarray(number % folds, dtype=np.intp)


def fit_all(
    method: str,
    predictions: Mapping[str, Predictions],
    per_task: bool,
    training: Training | None = None,
) -> Calibrator:
    """One calibrator of several tasks: with parameters of each task's own, or of all together."""
    if per_task:
        return fit(method, predictions, training)
    return fit(method, Predictions.concatenate(list(predictions.values())), training)
