"""`--model fractal-scorer`: a fitted scorer alone, on responses that a data set brings."""

from __future__ import annotations

import json
from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.calibrators.held_out import HeldOut
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal.responses import Response, question_of
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.held_out import check_documents
from lm_eval_calibration.models.shared.processes import ProcessesLM
from lm_eval_calibration.models.shared.recalibrated import documents_of
from lm_eval_calibration.models.shared.scoring_sentences import ScorerWithEncoder
from lm_eval_calibration.told import told_of

log = logger(f"lm_eval.{__name__}")


@register_model("fractal-scorer")
class FractalScorerLM(ProcessesLM):
    """Scores the sentences of `calib_fractal_*` tasks; it generates nothing.

    Args:
        scorer: folder of `lm-calib fit fractal`.
        encoder: in place of the one that the scorer names, e.g. a folder.
        store: folder in which embeddings are kept, or "".
        allow_seen: evaluate on documents that the scorer was fitted on, too.
        device: of the encoder.
        batch_size: not used.
        max_batch_size: not used.

    Raises:
        InvalidInputError: no scorer can be read there.
        SeenDocumentsError: it was fitted on documents of the evaluation.
    """

    @checked
    def __init__(
        self,
        scorer: str = "",
        encoder: str = "",
        store: str = "",
        allow_seen: bool = False,
        device: str | None = None,
        batch_size: Any = None,
        max_batch_size: Any = None,
    ) -> None:
        super().__init__()
        self._scorer = ScorerWithEncoder(scorer, encoder, store, device)
        training = self._scorer.scorer.training
        self._held_out = HeldOut(
            training, scorer, log.warning, kind="scorer", allow_seen=allow_seen
        )

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        """Scores and confidence of each request's sentences, as JSON.

        Raises:
            InvalidInputError: a request of another kind of task.
        """
        responses = [_response(request) for request in requests]
        check_documents(self._held_out, documents_of(requests))
        return [
            json.dumps({"confidence": found.confidence, "scores": found.scores})
            for found in self._scorer.score(responses)
        ]

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        """There are none."""
        raise InvalidInputError(
            "`fractal-scorer` has no log-likelihoods; run calib_fractal_* tasks."
        )

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[Any]:
        """There are none."""
        raise InvalidInputError(
            "`fractal-scorer` has no log-likelihoods; run calib_fractal_* tasks."
        )

    def get_model_info(self) -> dict[str, Any]:
        """What results say of it."""
        return {"scorer": {"encoder": self._scorer.encoder, **self._held_out.account()}}


def _response(request: Any) -> Response:
    """The response that a request asks to score."""
    told = told_of(request)
    if told.conversation is None or told.sentences is None:
        raise InvalidInputError(
            "`fractal-scorer` scores the responses of calib_fractal_* tasks and generates none. "
            "For answers with scores: --model fractal --model_args base=...,scorer=..."
        )
    return Response(question_of(request.doc, told.conversation.question), told.sentences)
