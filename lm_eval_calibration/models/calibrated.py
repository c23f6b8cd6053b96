"""`--model calibrated`: any model of the harness, its options' scores put through a calibrator."""

from __future__ import annotations

from typing import Any

import numpy as np

from lm_eval_calibration.arguments import checked, missing
from lm_eval_calibration.calibrators import Calibrator
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.models.shared.held_out import (
    after_loading,
    before_loading,
    before_scoring,
    refuse_cache,
)
from lm_eval_calibration.models.shared.instances import documents
from lm_eval_calibration.models.shared.run_prompts import beliefs_of
from lm_eval_calibration.models.shared.wrapper import Wrapper, known_model
from lm_eval_calibration.stated import StatedAnswer

Options = list[list[int]]
"""For each option of a document the numbers of its requests."""


@register_model("calibrated")
class CalibratedLM(Wrapper):
    """A model whose beliefs over a document's options are mapped by a fitted calibrator.

    A temperature leaves `acc`, `acc_norm` and `acc_mutual_info` what they are; the other methods
    give log-probabilities, which say nothing by the length of an option or without its context.
    Documents with one option (`loglikelihood` tasks), rolling log-likelihoods and generation are
    the base's.

    Args:
        base: `--model` of the model inside, e.g. `vllm`.
        calibrator: folder of `lm-calib fit`, or a repository on the hub.
        allow_seen: evaluate on documents that the calibrator was fitted on, too.
        allow_other: use it on another model, or on prompts of another format.
        **model_args: the base's.

    Raises:
        InvalidInputError: no calibrator can be read there.
        OtherModelError: it was fitted on another model.
        OtherPromptsError: it was fitted on prompts of another format.
    """

    source = "calibrated"

    @checked
    def __init__(
        self,
        base: str = "",
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        **model_args: Any,
    ) -> None:
        if not calibrator:
            raise missing("calibrator", "a folder of `lm-calib fit`", model_args)
        self.calibrator = Calibrator.from_pretrained(calibrator)
        known_model(base)
        self._held_out = before_loading(
            self.calibrator.training,
            calibrator,
            model_args,
            allow_seen=allow_seen,
            allow_other=allow_other,
            label_free=self.calibrator.label_free,
        )
        super().__init__(base, **model_args)
        after_loading(self._held_out, self.base)

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """The base's answers, of which documents with several options get calibrated ones."""
        asked = [d for d in documents(requests) if len(d.options) > 1]
        before_scoring(self._held_out, requests, asked, beliefs_of(self.base))
        answers = [
            found if isinstance(found, StatedAnswer) else (float(found[0]), bool(found[1]))
            for found in super().loglikelihood(requests, **options)
        ]
        by_task: dict[str, list[Options]] = {}
        for document in asked:
            beliefs = [document.options]
            if self.calibrator.any_constant and document.unconditional:
                beliefs.append([[number] for number in document.unconditional])
            for options_of in beliefs:
                values = [answers[numbers[0]][0] for numbers in options_of]
                if np.isfinite(max(values)) and not np.isnan(values).any():
                    by_task.setdefault(document.task, []).append(options_of)
        for task, beliefs in by_task.items():
            self._map(task, beliefs, answers)
        return answers

    def _map(self, task: str, beliefs: list[Options], answers: list[tuple[float, bool]]) -> None:
        count = np.array([len(options) for options in beliefs], dtype=np.intp)
        logits = np.full((len(beliefs), int(count.max())), -np.inf)
        for row, options in enumerate(beliefs):
            logits[row, : count[row]] = [answers[numbers[0]][0] for numbers in options]
        mapped = self.calibrator.option_scores(logits, count, task)
        for row, options in enumerate(beliefs):
            for option, numbers in enumerate(options):
                for number in numbers:
                    answers[number] = _with_value(answers[number], float(mapped[row, option]))

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Refuse a cache: an answer depends on the document's other options, and the calibrator."""
        refuse_cache(cache_hook, "calibrated answers depend on a document's other options")
        super().set_cache_hook(cache_hook)

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and the calibrator."""
        used = {"method": self.calibrator.method, **self._held_out.account()}
        return {**super().get_model_info(), "calibrator": used}


def _with_value(answer: tuple[float, bool], value: float) -> tuple[float, bool]:
    """The answer with another log-likelihood; what was stated of it stays with it."""
    if isinstance(answer, StatedAnswer):
        return StatedAnswer(value, answer[1], answer.statement, answer.option)
    return value, answer[1]
