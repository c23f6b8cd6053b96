"""`--model fractal`: every sentence of an answer gets a score, and they add up to a confidence."""

from __future__ import annotations

from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.fractal.responses import Response, question_of
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.models.shared.asking import conversation_of
from lm_eval_calibration.models.shared.beliefs import check_sampling
from lm_eval_calibration.models.shared.held_out import after_loading, before_loading, before_scoring
from lm_eval_calibration.models.shared.recalibrated import RecalibratedBeliefs, documents_of
from lm_eval_calibration.models.shared.room import SAMPLES, heat
from lm_eval_calibration.models.shared.scoring_sentences import ScoredResponse, ScorerWithEncoder


@register_model("fractal")
class FractalLM(RecalibratedBeliefs):
    """The task's own answers, with sentence scores of a fitted scorer (Makhija et al., 2025).

    Args:
        base: `--model` of the one inside.
        scorer: folder of `lm-calib fit fractal`.
        candidates: how many answers are sampled of each question; the one whose sentences score
            best is given.
        temperature: at which; by default that of `--gen_kwargs`, else 0.7. One candidate is the
            task's own answer.
        encoder: in place of the one that the scorer names, e.g. a folder.
        store: folder in which embeddings are kept, or "".
        calibrator: folder of `lm-calib fit` on a logged run of this model, or "".
        allow_seen: evaluate on documents that scorer or calibrator were fitted on, too.
        allow_other: use them on another model, or on prompts of another format.
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
        candidates: int = 1,
        temperature: float | None = None,
        encoder: str = "",
        store: str = "",
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        **model_args: Any,
    ) -> None:
        self._candidates, self._temperature = candidates, heat(temperature, SAMPLES)
        check_sampling(candidates, self._temperature)
        self._scorer = ScorerWithEncoder(scorer, encoder, store, model_args.get("device"))
        self._scorers = before_loading(
            self._scorer.scorer.training,
            scorer,
            model_args,
            kind="scorer",
            allow_seen=allow_seen,
            allow_other=allow_other,
        )
        super().__init__(base, calibrator, allow_seen, allow_other, **model_args)
        after_loading(self._scorers, self.base)

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """Answers, their sentences with scores, and the confidence that follows."""
        before_scoring(self._scorers, requests, documents_of(requests))
        pools = self._answers(requests)
        responses = [
            Response(self._question(request), self._scorer.split(answer))
            for request, pool in zip(requests, pools, strict=True)
            for answer in pool
        ]
        scored = iter(self._scorer.score(responses))
        return [self._envelope(pool, [next(scored) for _ in pool]) for pool in pools]

    def _answers(self, requests: list[Any]) -> list[list[str]]:
        """Of each request the candidates, or the task's own answer."""
        if self._candidates == 1:
            return [[answer] for answer in self.phases.generate(requests, "answering")]
        return self.phases.samples(
            requests, self._candidates, self._temperature, "sampling answers"
        )

    def _envelope(self, pool: list[str], scored: list[ScoredResponse]) -> Envelope:
        """The candidate whose sentences score best, the first of equals, beside the others."""
        beliefs = [each.confidence for each in scored]
        best = beliefs.index(max(beliefs))
        several = len(pool) > 1
        return Envelope(
            self.source,
            pool[best],
            scored[best].confidence,
            candidates=tuple(pool) if several else (),
            beliefs=tuple(beliefs) if several else (),
            sentences=scored[best].sentences,
            scores=scored[best].scores,
            cut=self.share_cut(pool),
        )

    def _question(self, request: Any) -> str:
        return question_of(request.doc, conversation_of(request, self.chat).question)

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and the scorer."""
        used = {"encoder": self._scorer.encoder, **self._scorers.account()}
        return {**super().get_model_info(), "scorer": used}
