"""`--model self_consistency`: the share of sampled answers that agree is the confidence."""

from __future__ import annotations

from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper, check_sampling
from lm_eval_calibration.models.shared.room import SAMPLES, heat

log = logger(f"lm_eval.{__name__}")


@register_model("self_consistency")
class SelfConsistencyLM(BeliefWrapper):
    """Samples a pool of answers; the most frequent one is given, with its share as confidence.

    What agrees is decided by the twin after the task's own filters (Wang et al., 2023).

    Args:
        base: `--model` of the one inside.
        candidates: how many answers are sampled.
        temperature: at which; at 0 they are greedy. By default that of `--gen_kwargs`, else 0.7.
        **model_args: the base's.
    """

    source = "self_consistency"
    default_template = ""

    @checked
    def __init__(
        self,
        base: str = "",
        candidates: int = 8,
        temperature: float | None = None,
        **model_args: Any,
    ) -> None:
        self._candidates, self._temperature = candidates, heat(temperature, SAMPLES)
        check_sampling(candidates, self._temperature)
        if candidates == 1:
            log.warning(
                "self_consistency: of one candidate every confidence is 1, or 0 where it is no answer."
            )
        super().__init__(base, **model_args)

    def envelopes(self, requests: list[Any]) -> list[Envelope]:
        """Pools, of which the twin takes the majority."""
        pools = self.phases.samples(
            requests, self._candidates, self._temperature, "sampling answers"
        )
        return [
            Envelope(self.source, None, candidates=tuple(pool), cut=self.share_cut(pool))
            for pool in pools
        ]
