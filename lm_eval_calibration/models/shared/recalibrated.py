"""`RecalibratedBeliefs`: a wrapper whose stated beliefs a fitted calibrator maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lm_eval_calibration.arguments import parameters
from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.calibrators.held_out import HeldOut
from lm_eval_calibration.envelope import NO_SCORE, Envelope
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper
from lm_eval_calibration.models.shared.held_out import after_loading, before_loading, before_scoring
from lm_eval_calibration.models.shared.instances import OptionsDocument
from lm_eval_calibration.models.shared.wrapper import known_model
from lm_eval_calibration.names import upstream_name
from lm_eval_calibration.predictions import Predictions


class RecalibratedBeliefs(BeliefWrapper):
    """A belief wrapper with a calibrator, which is not used on documents that it was fitted on.

    Args:
        base: `--model` of the one inside.
        calibrator: folder of `lm-calib fit`, or "".
        allow_seen: evaluate on documents that it, or the base, was fitted on, too.
        allow_other: use it, or the base, on another model, or on prompts of another format.
        template: as for `BeliefWrapper`.
        **model_args: the base's.

    Raises:
        InvalidInputError: no calibrator can be read there.
        OtherModelError: it was fitted on another model.
        OtherPromptsError: it was fitted on prompts of another format.
    """

    def __init__(
        self,
        base: str | type = "",
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        template: str = "",
        **model_args: Any,
    ) -> None:
        self.calibrator = Calibrator.from_pretrained(calibrator) if calibrator else None
        self._held_out: HeldOut | None = None
        if self.calibrator is not None:
            self._held_out = before_loading(
                self.calibrator.training,
                calibrator,
                model_args,
                allow_seen=allow_seen,
                allow_other=allow_other,
                label_free=self.calibrator.label_free,
            )
        allowed = {"allow_seen": allow_seen, "allow_other": allow_other}
        inside = parameters(known_model(base))
        model_args |= {n: True for n, given in allowed.items() if given and n in inside}
        super().__init__(base, template, **model_args)
        if self._held_out is not None:
            after_loading(self._held_out, self.base)

    def check(self, requests: Sequence[Any], asked_about: Sequence[OptionsDocument]) -> None:
        """Stop an evaluation for which the calibrator was not fitted.

        Raises:
            OtherPromptsError: it was fitted on prompts of another format.
            SeenDocumentsError: it was fitted on some of the documents.
        """
        if self._held_out is not None:
            before_scoring(self._held_out, requests, asked_about, self.source)

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """An envelope for each request of a twin, as the wrapper has it without a calibrator."""
        raise NotImplementedError

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """Those, with recalibrated confidences.

        Raises:
            CalibrationError: as `check`.
        """
        self.check(requests, documents_of(requests))
        found = self.stated(requests)
        if self.calibrator is None:
            return found
        tasks = [upstream_name(request.task_name or "") for request in requests]
        new = list(found)
        for task, numbers in rows_by_task(tasks).items():
            beliefs = _beliefs([found[i] for i in numbers])
            confidences = self.calibrator.transform(beliefs, task).confidence
            for i, confidence in zip(numbers, confidences, strict=True):
                new[i] = replace(found[i], confidence=float(confidence), score=None)
        return new

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and the calibrator."""
        if self.calibrator is None or self._held_out is None:
            return super().get_model_info()
        used = {"method": self.calibrator.method, **self._held_out.account()}
        return {**super().get_model_info(), "calibrator": used}


def _beliefs(envelopes: Sequence[Envelope]) -> Predictions:
    """What they state, without verdicts."""
    unknown = [False] * len(envelopes)
    if any(e.score is not None for e in envelopes):
        scores = [NO_SCORE if e.score is None else e.score for e in envelopes]
        return Predictions.from_scores(scores, unknown)
    return Predictions.from_confidences([float(e.confidence or 0.0) for e in envelopes], unknown)


def documents_of(requests: Sequence[Any]) -> list[OptionsDocument]:
    """The documents of generation requests."""
    return [OptionsDocument(upstream_name(r.task_name or ""), r.doc) for r in requests]


def rows_by_task(tasks: Sequence[str]) -> dict[str, list[int]]:
    """Where each task stands.

    >>> rows_by_task(["a", "b", "a"])
    {'a': [0, 2], 'b': [1]}
    """
    rows: dict[str, list[int]] = {}
    for i, task in enumerate(tasks):
        rows.setdefault(task, []).append(i)
    return rows
