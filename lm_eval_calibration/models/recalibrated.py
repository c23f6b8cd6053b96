"""`RecalibratedBeliefs`: a wrapper whose stated beliefs a fitted calibrator maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.models.beliefs import BeliefWrapper
from lm_eval_calibration.models.held_out import account, refuse_seen
from lm_eval_calibration.models.instances import Document
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Predictions


class RecalibratedBeliefs(BeliefWrapper):
    """A belief wrapper with a calibrator, which is not used on documents that it was fitted on.

    Args:
        base: `--model` of the one inside.
        calibrator: folder of `lm-calib fit`, or "".
        allow_seen: evaluate on documents that it was fitted on, too.
        template: as for `BeliefWrapper`.
        **model_args: the base's.

    Raises:
        InvalidInputError: no calibrator can be read there.
    """

    def __init__(
        self,
        base: str = "",
        calibrator: str = "",
        allow_seen: bool = False,
        template: str = "",
        **model_args: Any,
    ) -> None:
        self.calibrator = Calibrator.from_pretrained(calibrator) if calibrator else None
        self._path, self._allow_seen = str(calibrator), bool(allow_seen)
        self._seen: dict[str, int] = {}
        super().__init__(base, template, **model_args)

    def check_seen(self, asked_about: Sequence[Document]) -> None:
        """Stop an evaluation on documents that the calibrator was fitted on.

        Raises:
            SeenDocumentsError: there are some, and they are not allowed.
        """
        if self.calibrator is not None:
            training = self.calibrator.training
            self._seen |= refuse_seen(training, asked_about, allow=self._allow_seen)

    def mapped(self, requests: list[Any], found: list[Envelope]) -> list[Envelope]:
        """Envelopes of generation requests with recalibrated confidences.

        Raises:
            SeenDocumentsError: as `check_seen`.
        """
        if self.calibrator is None:
            return found
        tasks = [upstream_name(request.task_name or "") for request in requests]
        self.check_seen([Document(t, r.doc) for t, r in zip(tasks, requests, strict=True)])
        new = list(found)
        for task, numbers in rows_by_task(tasks).items():
            stated = [float(found[i].confidence or 0.0) for i in numbers]
            beliefs = Predictions.from_confidences(stated, [False] * len(stated))
            confidences = self.calibrator.transform(beliefs, task).confidence
            for i, confidence in zip(numbers, confidences, strict=True):
                new[i] = replace(found[i], confidence=float(confidence))
        return new

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and the calibrator."""
        if self.calibrator is None:
            return super().get_model_info()
        used = account(self.calibrator, self._path, self._seen)
        return {**super().get_model_info(), "calibrator": used}


def rows_by_task(tasks: Sequence[str]) -> dict[str, list[int]]:
    """Where each task stands.

    >>> rows_by_task(["a", "b", "a"])
    {'a': [0, 2], 'b': [1]}
    """
    rows: dict[str, list[int]] = {}
    for i, task in enumerate(tasks):
        rows.setdefault(task, []).append(i)
    return rows
