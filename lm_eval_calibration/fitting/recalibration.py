"""A recalibrator on labelled beliefs, and what it does to documents it was not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.calibrators.calibrator import find
from lm_eval_calibration.calibrators.crossfit import cross_fit, fit_all, folds_of
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.fitting.beliefs import Beliefs
from lm_eval_calibration.names import of_task
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.prompt_format import ASKING, TEXTS


@dataclass(frozen=True)
class Recalibrated:
    """A fitted calibrator, and all documents' predictions three ways.

    Attributes:
        calibrator: fitted on all documents.
        before: as the model has them.
        in_sample: mapped by `calibrator`, which was fitted on them.
        held_out: each fold mapped by a calibrator of the other folds.
    """

    calibrator: Calibrator
    before: Predictions
    in_sample: Predictions
    held_out: Predictions


def recalibrate(method: str, beliefs: Beliefs, *, folds: int, per_task: bool) -> Recalibrated:
    """Fit on all documents, and crosswise on folds of them.

    Args:
        method: see `METHODS`.
        beliefs: labelled documents.
        folds: at least 2; a document's is that of its hash, so that copies stay together.
        per_task: whether each task has its own parameters.

    Raises:
        InvalidInputError: fewer than two folds, or fewer documents in a task than folds.
    """
    if find(method).label_free:
        _refuse_texts(method, beliefs)
    if folds < 2:
        raise invalid("--folds", "at least 2", folds)
    calibrator = fit_all(method, beliefs.predictions, per_task, beliefs.training)
    fold = {task: _folds(beliefs, task, folds) for task in beliefs.predictions}
    held_out = cross_fit(method, beliefs.predictions, fold, per_task=per_task)
    in_sample = {t: calibrator.transform(p, t) for t, p in beliefs.predictions.items()}
    return Recalibrated(
        calibrator,
        *(
            Predictions.concatenate(list(parts.values()))
            for parts in (beliefs.predictions, in_sample, held_out)
        ),
    )


def _refuse_texts(method: str, beliefs: Beliefs) -> None:
    """Stop where options are texts of each document's own, which have no position to prefer."""
    for task, asked in beliefs.prompts.items():
        if asked.options == TEXTS and asked.beliefs not in ASKING:
            raise InvalidInputError(
                f"`{method}` is of fixed letters, and the options of `{task}` are texts. Take runs with letters (a task "
                "whose options are letters, or --model option_tokens)."
            )


def _folds(beliefs: Beliefs, task: str, folds: int) -> NDArray[np.intp]:
    count = len(beliefs.predictions[task])
    hashes = beliefs.documents[task]
    different = len(np.unique(hashes)) if len(hashes) else count  # (copies are in one fold)
    if different < folds:
        what = "documents" if different == count else "different documents"
        raise invalid("--folds", f"at most the number of {what}{of_task(task)}, {different}", folds)
    return folds_of(hashes, count, folds)
