"""A scorer of sentences, fitted on labelled responses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from lm_eval_calibration.calibrators import Calibrator, Training
from lm_eval_calibration.calibrators import fit as fit_calibrator
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.fitting.responses import LabelledResponses
from lm_eval_calibration.fractal.bags import BagMaterial, Bags
from lm_eval_calibration.fractal.encoders import Encoder
from lm_eval_calibration.fractal.encoders import Progress as Counting
from lm_eval_calibration.fractal.judging import log_odds
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.responses import bags_of
from lm_eval_calibration.fractal.scorer import SentenceScorer, calibrated
from lm_eval_calibration.fractal.settings import FractalSettings
from lm_eval_calibration.fractal.training import Progress, Stage, TrainedScorer, train
from lm_eval_calibration.predictions import Predictions

FOLDS = 7
"""One of so many documents is not learned from, but judges the training."""
LEAST_LABELLED = 20
"""Labelled sentences of each kind, in the responses that judge, for a calibration of sentences."""
CALIBRATORS = ("platt", "beta", "isotonic", "histogram", "temperature")
"""Methods that map probabilities one by one."""


@dataclass(frozen=True, eq=False)
class FittedScorer:
    """A scorer, and what training says of it.

    Attributes:
        scorer: its network is that of the stage with the lowest loss on `judge`.
        trained: both stages.
        judge: the responses that judged.
        chosen: the number of the stage.
    """

    scorer: SentenceScorer
    trained: TrainedScorer
    judge: BagMaterial
    chosen: int


def fit(
    labelled: LabelledResponses,
    reading: SentenceReading,
    settings: FractalSettings,
    encoder: Encoder,
    *,
    calibrator: str = "platt",
    seed: int = 0,
    encoding: Counting | None = None,
    progress: Progress | None = None,
) -> FittedScorer:
    """Encode, train, and calibrate the scores of sentences where some have labels.

    Args:
        labelled: responses.
        reading: how they were cut up and how they are shown.
        settings: of the training.
        encoder: that `reading` names.
        calibrator: of the scores of sentences, one of `CALIBRATORS`.
        seed: of weights and order.
        encoding: called with how many texts have been encoded.
        progress: called with what is being trained.

    Raises:
        InvalidInputError: too few documents, all responses have the same label, or an unknown
            calibrator.
    """
    check(labelled, calibrator)
    bags = bags_of(labelled.responses, encoder, reading, encoding)
    judging = held_out(bags)
    whole = BagMaterial(bags, labelled.pairs)
    learn, judge = whole.part(np.flatnonzero(~judging)), whole.part(np.flatnonzero(judging))
    trained = train(learn, judge, settings, seed=seed, progress=progress)
    chosen = int(np.argmin([stage.loss for stage in trained.stages]))
    stage = trained.stages[chosen]
    scorer = SentenceScorer(
        stage.network,
        replace(settings, weights=trained.weights),
        reading,
        Training(
            labelled.tasks, np.unique(bags.documents), labelled.model, prompts=labelled.prompts
        ),
        of_sentences(stage, judge.bags, calibrator),
        _about(labelled, trained, chosen, judge),
    )
    return FittedScorer(scorer, trained, judge, chosen)


def held_out(bags: Bags) -> Any:
    """(N,) which responses judge: all of a document's together, one document in `FOLDS`."""
    _, number = np.unique(bags.documents, return_inverse=True)
    order = np.random.default_rng(0).permutation(number.max() + 1)
    return order[number] % FOLDS == 0


def check(labelled: LabelledResponses, calibrator: str) -> None:
    """Stop, before any work, where there is nothing to learn from.

    Raises:
        InvalidInputError: too few documents, all responses have the same label, or an unknown calibrator.
    """
    if calibrator not in CALIBRATORS:
        raise invalid("calibrator", f"one of {', '.join(CALIBRATORS)}", f"`{calibrator}`")
    documents = len({response.document for response in labelled.responses})
    if documents < 2 * FOLDS:
        raise InvalidInputError(
            f"{documents} document(s) are too few to fit on: at least {2 * FOLDS} are needed."
        )
    labels = {response.label for response in labelled.responses}
    if labelled.pairs is None and len(labels) == 1:
        raise InvalidInputError(
            f"All {len(labelled.responses):,} responses have the label {labels.pop():g}: there is nothing to "
            "learn from. Take the responses of another model, or of harder questions."
        )


def of_sentences(stage: Stage, judge: Bags, method: str) -> Calibrator | None:
    """Calibrator of sentences' scores, where enough of the judging responses have labels.

    `None` too where the labels speak against the scores, and all would become one.
    """
    known = np.flatnonzero(~np.isnan(judge.sentence_labels))
    labels = judge.sentence_labels[known] > 0.5
    if min(int(labels.sum()), int((~labels).sum())) < LEAST_LABELLED:
        return None
    scores = expit(log_odds(stage.network, judge).double().numpy()[known])
    found = fit_calibrator(method, Predictions.from_confidences(scores, labels))
    return found if np.ptp(calibrated(scores, found)) > 0 else None


def _about(
    labelled: LabelledResponses, trained: TrainedScorer, chosen: int, judge: BagMaterial
) -> dict[str, Any]:
    return {
        "responses": len(labelled.responses),
        "judged_on": len(judge),
        "stages": [{"loss": s.loss, "epochs": s.epochs} for s in trained.stages],
        "stage": chosen,
        "tried": [{"weights": list(w), "loss": loss} for w, loss in trained.tried.items()],
    }
