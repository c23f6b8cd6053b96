"""`--model fractal`: every sentence of an answer gets a score, and they add up to a confidence."""

from __future__ import annotations

from typing import Any

from lm_eval.api.registry import register_model

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.fractal.responses import Response, question_of
from lm_eval_calibration.models.held_out import refuse_seen
from lm_eval_calibration.models.instances import Document
from lm_eval_calibration.models.recalibrated import RecalibratedBeliefs
from lm_eval_calibration.models.scoring_sentences import ScorerWithEncoder
from lm_eval_calibration.names import upstream_name


@register_model("fractal")
class FractalLM(RecalibratedBeliefs):
    """The task's own answers, with sentence scores of a fitted scorer (Makhija et al., 2025).

    Args:
        base: `--model` of the one inside.
        scorer: folder of `lm-calib fit fractal`.
        encoder: in place of the one that the scorer names, e.g. a folder.
        store: folder in which embeddings are kept, or "".
        calibrator: folder of `lm-calib fit` on a logged run of this model, or "".
        allow_seen: evaluate on documents that scorer or calibrator were fitted on, too.
        **model_args: the base's.

    Raises:
        InvalidInputError: no scorer, or no calibrator, can be read there.
        SeenDocumentsError: one of them was fitted on documents of the evaluation.
    """

    source = "fractal"
    default_template = ""

    @checked
    def __init__(
        self,
        base: str = "",
        scorer: str = "",
        encoder: str = "",
        store: str = "",
        calibrator: str = "",
        allow_seen: bool = False,
        **model_args: Any,
    ) -> None:
        self._scorer = ScorerWithEncoder(scorer, encoder, store, model_args.get("device"))
        self._scorer_path = str(scorer)
        self._scorer_seen: dict[str, int] = {}
        super().__init__(base, calibrator, allow_seen, **model_args)

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """Answers, their sentences with scores, and the confidence that follows."""
        asked_about = [Document(upstream_name(r.task_name or ""), r.doc) for r in requests]
        training = self._scorer.scorer.training
        self._scorer_seen |= refuse_seen(training, asked_about, allow=self._allow_seen)
        answers = self.phases.generate(requests, "answering")
        responses = [
            Response(question_of(request.doc, str(request.args[0])), self._scorer.split(answer))
            for request, answer in zip(requests, answers, strict=True)
        ]
        found = [
            Envelope(
                self.source,
                answer,
                scored.confidence,
                sentences=scored.sentences,
                scores=scored.scores,
            )
            for answer, scored in zip(answers, self._scorer.score(responses), strict=True)
        ]
        return self.mapped(requests, found)

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and the scorer."""
        used = self._scorer.account(self._scorer_path, self._scorer_seen)
        return {**super().get_model_info(), "scorer": used}
