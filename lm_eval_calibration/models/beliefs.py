"""`--model beliefs`: several beliefs in the same answers, from one pool."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.encoders import DEFAULT
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.metrics.agreement import BELIEFS as OF_POOLS
from lm_eval_calibration.metrics.agreement import CONSISTENCY, OF_WEIGHTS
from lm_eval_calibration.metrics.token_scores import LIKELIHOODS
from lm_eval_calibration.models.shared.pooled import PooledBeliefs, Sampling
from lm_eval_calibration.models.shared.saying_the_same import ENTAILMENT, FILTER, THRESHOLD
from lm_eval_calibration.models.shared.truth import VERBAL, AsksTruth

ASKING = {"p_true": "auto", "verbalized": "verbal"}
"""Beliefs that are asked for, and how."""
WITHOUT_WEIGHTS = tuple(name for name in OF_POOLS if name not in OF_WEIGHTS)
FAMILIES = {
    "consistency": (CONSISTENCY,),
    "likelihood": tuple(LIKELIHOODS),
    "semantic_entropy": OF_POOLS,
    "p_true": ("p_true",),
    "verbalized": ("verbalized",),
}
"""What may be joined, and the beliefs that each has."""


@register_model("beliefs")
class BeliefsLM(AsksTruth, PooledBeliefs):
    """The task's own answers, with every belief in them that one pool of samples allows.

    `lm-calib beliefs RUN` compares them.

    Args:
        base: `--model` of the one inside.
        beliefs: which, joined by `+`: `consistency`, `likelihood`, `semantic_entropy`, `p_true`,
            `verbalized` (the answer's probability, in words).
        states: the one that the run's own metrics are of: any name that is logged; by default the first
            of `beliefs`.
        weights: whether samples' likelihoods are read, too, for the weighted beliefs of
            `semantic_entropy`.
        candidates, temperature, judge, encoder, threshold, nli: as for `--model semantic_entropy`.
        ask: as for `--model p_true`.
        template: of its question, likewise.
        **model_args: the base's.

    Raises:
        InvalidInputError: an argument that cannot be.
    """

    source = "beliefs"

    @checked
    def __init__(
        self,
        base: str = "",
        beliefs: str = "consistency+likelihood+semantic_entropy+p_true",
        states: str = "",
        weights: bool = True,
        candidates: int = 10,
        temperature: float | None = None,
        judge: str = FILTER,
        encoder: str = DEFAULT,
        threshold: float = THRESHOLD,
        nli: str = ENTAILMENT,
        ask: str = "auto",
        template: str = "",
        **model_args: Any,
    ) -> None:
        wanted = [name for name in beliefs.split("+") if name]
        unknown = next((name for name in wanted if name not in FAMILIES), None)
        if unknown is not None or not wanted:
            raise invalid("beliefs", f"{', '.join(FAMILIES)}, joined by +", f"`{beliefs}`")
        for name in ("calibrator", "allow_seen", "allow_other"):
            if name in model_args:
                raise invalid(
                    name, "left out: `beliefs` states several", f"`{model_args[name]}`",
                    "The wrapper of one belief takes it (likelihood, semantic_entropy, p_true, verbalized).",
                )  # fmt: skip
        families = {**FAMILIES, "semantic_entropy": OF_POOLS if weights else WITHOUT_WEIGHTS}
        there = [name for family in wanted for name in families[family]]
        states = states or there[0]
        if states not in there:
            raise invalid("states", f"one of {', '.join(there)}", f"`{states}`")
        self._asking = {name: how for name, how in ASKING.items() if name in wanted}
        self._truth = self._ask = ask
        read = weights and "semantic_entropy" in wanted
        sampling = Sampling(candidates, temperature, judge, encoder, threshold, nli, read)
        super().__init__(
            sampling,
            states,
            "likelihood" in wanted,
            bool({"consistency", "semantic_entropy"} & set(wanted)),
            base,
            template=template,
            **model_args,
        )

    def stated(self, requests: list[Any]) -> list[Envelope]:
        """The task's own answers with their pools, and what was asked about them."""
        found = self.answered(requests)
        flags: list[tuple[str, ...]] = [()] * len(requests)
        for name, how in self._asking.items():
            self._ask = how if name == "verbalized" else self._truth
            template = VERBAL if name == "verbalized" else None  # (the user's is p(True)'s)
            asked = self.truth(requests, found.answers, template)
            for told, envelope in zip(found.told, asked, strict=True):
                told[name] = float(envelope.confidence or 0.0)
            if name == "p_true":
                self._truth = self._ask
            flags = [have + e.flags for have, e in zip(flags, asked, strict=True)]
        made = self.enveloped(requests, found)
        return [replace(e, flags=f) for e, f in zip(made, flags, strict=True)]
