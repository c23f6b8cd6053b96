"""Every recalibrator that applies, cross-fitted on the same folds: which one should be taken?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lm_eval_calibration.calibrators import METHODS, Calibrator
from lm_eval_calibration.calibrators.contract import SMALLEST, labelled
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fitting.beliefs import Beliefs
from lm_eval_calibration.fitting.recalibration import recalibrate
from lm_eval_calibration.members import BrokenMemberError
from lm_eval_calibration.predictions import Floats, Predictions
from lm_eval_calibration.ragged import starts_of

NONE = "none"
"""The beliefs as they are."""
SIMPLEST = (
    NONE, "temperature", "platt", "inverse_softmax", "beta", "prior", "vector", "spline", "centred_isotonic",
    "isotonic", "histogram",
)  # fmt: skip
"""From few parameters to many; what other packages add comes last."""
FEW_DOCUMENTS = 100
"""With fewer documents for each set of parameters nothing with more than two of them is kept."""
SMALL = (NONE, "temperature", "platt", "inverse_softmax")
FOR_COMPARISON = ("resoftmax",)
"""Methods that nobody should take."""


@dataclass(frozen=True)
class TriedMethod:
    """A method on documents that it was not fitted on.

    Attributes:
        name: of it, or `NONE`.
        calibrator: fitted on all documents; `None` for `NONE`.
        held_out: each fold mapped by what was fitted on the others.
        loss: (N,) its negative log-likelihood, document by document.
    """

    name: str
    calibrator: Calibrator | None
    held_out: Predictions
    loss: Floats

    @property
    def nll(self) -> float:
        """The mean loss."""
        return float(self.loss.mean())


@dataclass(frozen=True)
class Best:
    """All methods, the best by NLL, and the one to keep.

    Attributes:
        tried: all that apply, the simplest first.
        best: the one of the least loss.
        kept: the simplest that is within one standard error of it.
        left_out: methods that do not apply, with the reason.
        few: whether there are so few documents that methods of many parameters were not to be kept.
    """

    tried: list[TriedMethod]
    best: TriedMethod
    kept: TriedMethod
    left_out: dict[str, str]
    few: bool = False

    def apart(self, one: TriedMethod) -> tuple[float, float]:
        """How much more a method loses than the best, paired by document, and its standard error."""
        return difference(one.loss, self.best.loss)


def best_of(
    beliefs: Beliefs,
    *,
    folds: int,
    per_task: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Best:
    """Cross-fit every method on the same folds, and choose by the one-standard-error rule.

    Kept is the simplest whose loss exceeds the best's by no more than one standard error of that
    difference, paired by document (Breiman et al., 1984, with the paired error). Of fewer than `FEW_DOCUMENTS`
    documents (for each task, if each has parameters of its own) only methods of one or two parameters
    are kept, and the best is the best of those.

    Args:
        beliefs: labelled documents.
        folds: at least 2.
        per_task: whether each task has parameters of its own.
        progress: called with the name of each method.

    Raises:
        InvalidInputError: no method applies, or too few documents.
    """
    before = Predictions.concatenate(list(beliefs.predictions.values()))
    tried = [] if before.are_scores else [TriedMethod(NONE, None, before, losses(before))]
    left_out: dict[str, str] = {}
    for name in _methods():
        if progress is not None:
            progress(name)
        try:
            found = recalibrate(name, beliefs, folds=folds, per_task=per_task)
        except BrokenMemberError:
            raise
        except InvalidInputError as error:
            left_out[name] = str(error)
            continue
        tried.append(TriedMethod(name, found.calibrator, found.held_out, losses(found.held_out)))
    if all(one.calibrator is None for one in tried):
        raise InvalidInputError(next(iter(left_out.values())))
    sizes = [len(p) for p in beliefs.predictions.values()]
    few = (min(sizes) if per_task else sum(sizes)) < FEW_DOCUMENTS
    able = [one for one in tried if one.name in SMALL] if few else tried
    best = min(able or tried, key=lambda one: one.nll)
    return Best(tried, best, _simplest(able or tried, best), left_out, few)


def losses(predictions: Predictions) -> Floats:
    """(N,) negative log-likelihood of the right option, or of the verdict of an answer.

    Documents without a right option are left out. A probability of 0 counts as 1e-12.
    """
    if predictions.options is None:
        c = np.clip(predictions.confidence, SMALLEST, 1 - SMALLEST)
        return -np.log(np.where(predictions.correct, c, 1 - c))
    beliefs = labelled(predictions)
    right = np.where(beliefs.gold, np.exp(beliefs.logits), 0.0)
    mass = np.add.reduceat(right, starts_of(beliefs.num_options)[:-1])
    return np.asarray(-np.log(np.maximum(mass, SMALLEST)))


def difference(loss: Floats, least: Floats) -> tuple[float, float]:
    """Mean and standard error of paired differences."""
    apart = loss - least
    error = float(apart.std(ddof=1) / np.sqrt(len(apart))) if len(apart) > 1 else float("nan")
    return float(apart.mean()), error


def _methods() -> list[str]:
    others = [name for name in METHODS if name not in (*SIMPLEST, *FOR_COMPARISON)]
    return [*(name for name in SIMPLEST if name != NONE), *others]


def _simplest(tried: Sequence[TriedMethod], best: TriedMethod) -> TriedMethod:
    for one in tried:
        mean, error = difference(one.loss, best.loss)
        if mean <= (error if np.isfinite(error) else 0.0):
            return one
    return best
