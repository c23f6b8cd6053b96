"""`--model semantic_entropy`: samples of an answer, clustered by what they say."""

from __future__ import annotations

from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.encoders import DEFAULT
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.metrics.agreement import BELIEFS, MASS, OF_WEIGHTS
from lm_eval_calibration.models.shared.pooled import PooledBeliefs, Sampling
from lm_eval_calibration.models.shared.saying_the_same import ENTAILMENT, FILTER, THRESHOLD


@register_model("semantic_entropy")
class SemanticEntropyLM(PooledBeliefs):
    """The task's own answer, and how much of a pool of samples says the same (Farquhar et al., 2024).

    Stated is the mass of the answer's cluster, a confidence in [0, 1]; entropies are logged beside it,
    with a minus, or stated with `score`.

    Args:
        base: `--model` of the one inside.
        candidates: how many answers are sampled beside the task's own.
        temperature: at which; by default that of `--gen_kwargs`, else 0.7.
        judge: what says which answers say the same: `filter` (the task's filter and metric), `embeddings`,
            `nli` (a cross-encoder for entailment, both ways) or `model` (the base itself, asked).
        score: `cluster_mass`, `discrete_semantic_entropy`; `weighted_mass`, `semantic_entropy` and
            `sequence_semantic_entropy`, for which the samples' likelihoods are read.
        weights: whether they are read in any case, to be logged.
        encoder: of `judge=embeddings`.
        threshold: the least cosine of answers that say the same.
        nli: of `judge=nli`: a name on the hub, or a folder.
        calibrator: folder of `lm-calib fit` on a logged run of this model, or "".
        allow_seen: evaluate on documents that the calibrator was fitted on, too.
        allow_other: use it on another model, or on prompts of another format.
        **model_args: the base's.

    Raises:
        InvalidInputError: an argument that cannot be.
        SeenDocumentsError: the calibrator was fitted on documents of the evaluation.
    """

    source = "semantic_entropy"
    default_template = ""

    @checked
    def __init__(
        self,
        base: str = "",
        candidates: int = 10,
        temperature: float | None = None,
        judge: str = FILTER,
        score: str = MASS,
        weights: bool = False,
        encoder: str = DEFAULT,
        threshold: float = THRESHOLD,
        nli: str = ENTAILMENT,
        calibrator: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        **model_args: Any,
    ) -> None:
        if score not in BELIEFS:
            raise invalid("score", ", ".join(BELIEFS), f"`{score}`")
        weighted = weights or score in OF_WEIGHTS
        sampling = Sampling(candidates, temperature, judge, encoder, threshold, nli, weighted)
        super().__init__(
            sampling, score, False, True, base, calibrator, allow_seen, allow_other, **model_args
        )

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """The task's own answers with their pools."""
        return self.enveloped(requests, self.answered(requests))
