"""`--calibrator`: logged beliefs as a fitted calibrator would have had them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.samples import Run
from lm_eval_calibration.samples.run import Samples


def recalibrated(runs: Sequence[Run], folder: str) -> list[Run]:
    """The runs with every belief mapped, plain ones only.

    Raises:
        InvalidInputError: the calibrator was fitted on some of the documents, or does not fit.
    """
    calibrator = Calibrator.from_pretrained(folder)
    return [
        replace(run, samples={name: _mapped(s, calibrator) for name, s in run.samples.items()})
        for run in runs
    ]


def _mapped(samples: Samples, calibrator: Calibrator) -> Samples:
    seen = int(calibrator.training.seen(samples.doc_hash).sum())
    if seen:
        raise InvalidInputError(
            f"The calibrator was fitted on {seen:,} of {len(samples):,} documents of "
            f"`{samples.task}`: figures on them would flatter it. `lm-calib fit` has printed what it "
            "does to held-out folds of them."
        )
    predictions = calibrator.transform(samples.predictions, upstream_name(samples.task))
    note = f"its beliefs are those of the model and a calibrator ({calibrator.method})"
    return replace(samples, predictions=predictions, normalised=None, notes=(*samples.notes, note))
