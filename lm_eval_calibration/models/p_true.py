"""`--model p_true`: answer, then ask the same model whether the answer is right."""

from __future__ import annotations

from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.models.shared.recalibrated import RecalibratedBeliefs
from lm_eval_calibration.models.shared.truth import ASK, AsksTruth


@register_model("p_true")
class PTrueLM(AsksTruth, RecalibratedBeliefs):
    """The confidence is the probability of "yes" to the question whether the answer is right.

    Kadavath et al., 2022. The softmax over the two options' log-likelihoods; a base of
    `thermometer` scales them by its temperature of the task, and a recalibrator maps what comes
    out. On a base without log-likelihoods the probabilities of the letters' tokens are read, as
    `option_tokens` does; where there are none either the model is asked for a number. Where a reply
    has none the confidence is a half, and `invalid_rate` says how often.

    Args:
        base: `--model` of the one inside.
        ask: `likelihood`, `tokens`, `verbal`, or `auto`: the first of them that the base has.
        calibrator: folder of `lm-calib fit` on a logged run of this model, or "".
        allow_seen: evaluate on documents that the calibrator was fitted on, too.
        allow_other: use it on another model, or on prompts of another format.
        template: a jinja file with `question` and `answer`, or a folder of them by task; it may
            also name `doc` (the document) and `ask`.
        **model_args: the base's.

    Raises:
        InvalidInputError: another value of `ask`, or no calibrator can be read there.
        SeenDocumentsError: the calibrator was fitted on documents of the evaluation.
    """

    source = "p_true"

    @checked
    def __init__(
        self,
        base: str = "",
        ask: str = "auto",
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        template: str = "",
        **model_args: Any,
    ) -> None:
        if ask not in ASK:
            raise invalid("ask", ", ".join(ASK), f"`{ask}`")
        self._ask = ask
        super().__init__(base, calibrator, allow_seen, allow_other, template, **model_args)

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """The task's own answers, each with its probability of being right."""
        return self.truth(requests, self.phases.generate(requests, "answering"))
