"""`--model likelihood`: how likely a model found the tokens of its own answer."""

from __future__ import annotations

from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import NO_SCORE, Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.metrics.token_scores import LIKELIHOODS, PROBABILITIES, likelihoods
from lm_eval_calibration.models.shared.recalibrated import RecalibratedBeliefs
from lm_eval_calibration.models.shared.token_reading import TokenReader


@register_model("likelihood")
class LikelihoodLM(RecalibratedBeliefs):
    """The task's own answers, each with the probability that its tokens had.

    All scores that the base allows are logged; one of them is stated. Only the answer's tokens count:
    what the task sees of the reply before its filters, without thinking, stop strings and the end of
    the text.

    Args:
        base: `--model` of the one inside.
        score: `sequence` (the product over tokens), `normalised` (their geometric mean: one over
            the perplexity), `least`, `margin` or `entropy`; the last two are scores of any size, not
            probabilities.
        calibrator: folder of `lm-calib fit` on a logged run of this model, or "".
        allow_seen: evaluate on documents that the calibrator was fitted on, too.
        allow_other: use it on another model, or on prompts of another format.
        **model_args: the base's.

    Raises:
        InvalidInputError: another score, or a base that has no log-probabilities.
        SeenDocumentsError: the calibrator was fitted on documents of the evaluation.
    """

    source = "likelihood"
    default_template = ""

    @checked
    def __init__(
        self,
        base: str = "",
        score: str = "sequence",
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        **model_args: Any,
    ) -> None:
        if score not in LIKELIHOODS:
            raise invalid("score", ", ".join(LIKELIHOODS), f"`{score}`")
        self._score = score
        super().__init__(base, calibrator, allow_seen, allow_other, **model_args)

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """The task's own answers with their tokens' probabilities."""
        reader = TokenReader(self)
        wanted = [reader.request(request) for request in requests]
        answers = self.phases.generate(wanted, "answering")
        read = reader.read(requests, [[answer] for answer in answers])
        told = [likelihoods(tokens) if tokens else {} for (tokens,) in read]
        return [self._envelope(*each) for each in zip(answers, told, strict=True)]

    def _envelope(self, answer: str, told: dict[str, float]) -> Envelope:
        value, cut = self._value(told), self.share_cut([answer])
        if self._score in PROBABILITIES:
            return Envelope(self.source, answer, min(value, 1.0), told=told, cut=cut)
        return Envelope(self.source, answer, score=value, told=told, cut=cut)

    def _value(self, told: dict[str, float]) -> float:
        """The stated one; of an answer without tokens none is less."""
        if not told:
            return NO_SCORE if self._score == "entropy" else 0.0
        if self._score not in told:
            raise invalid(
                "score", f"one that this base allows ({', '.join(told)})", f"`{self._score}`"
            )
        return told[self._score]
