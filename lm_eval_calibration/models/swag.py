"""`--model swag`: `hf-fast` with LoRA weights, its option probabilities averaged over draws."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from peft import PeftModel
from tqdm import tqdm

from lm_eval_calibration.arguments import checked, missing
from lm_eval_calibration.draws import DrawnAnswer
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.hf_fast import FastHFLM, TokenRequest
from lm_eval_calibration.models.shared.fingerprint import of_tensors, setting
from lm_eval_calibration.models.shared.held_out import after_loading, before_loading, before_scoring
from lm_eval_calibration.models.shared.instances import documents
from lm_eval_calibration.models.shared.resuming import (
    Computed,
    completed,
    refuse_parts,
    report,
    reporting_to,
)
from lm_eval_calibration.scoring.contract import Answers, Executor, ScoredRequest
from lm_eval_calibration.scoring.sequences import Request
from lm_eval_calibration.swag import Draw, load, lora
from lm_eval_calibration.swag.averaging import States, answers_of
from lm_eval_calibration.swag.mixture import Mixture, WeightSet

Score = Callable[[list[int], Any, Any], list[Any]]
"""Answers to the requests of some numbers, given a progress bar's function and an observer."""

log = logger(f"lm_eval.{__name__}")


@register_model("swag")
class SwagLM(FastHFLM):
    """SWAG over LoRA (Onal et al., 2024), and what it is compared with, at evaluation time.

    Each weight set is put in place once and scores all documents. The answers are the logarithms
    of the averaged option probabilities, each document's plus a constant: the draws' mean
    log-likelihood of its options together, so that with one draw they are the plain
    log-likelihoods. Rolling log-likelihoods and generation use the first member's mean. With
    `--use_cache` what each draw says is kept as it comes, and averages are made anew.

    Args:
        swag: folder of `lm-calib fit swag`.
        method: `map`, `mc_dropout`, `ensemble`, `swa`, `swag` or `multiswag`; by default `swag`, or
            `multiswag` where the folder has several members.
        samples: draws of each member; 0 for its mean.
        scale: of the covariance; by default the one that was chosen when the member was fitted.
        low_rank: whether the deviations' covariance is in it.
        diagonal: whether each weight's own variance is.
        centring: of the deviations, `running` or `final`.
        tensors: pattern of the weights that vary, e.g. `*lora_A*`.
        member: which one, where the method takes one.
        seed: of the draws.
        allow_seen: evaluate on documents that were trained on, too.
        allow_other: use it on another model of the same shapes, or on prompts of another format.
        **kwargs: as for `hf-fast`.

    Raises:
        InvalidInputError: no posterior can be read there, or an option cannot be.
        OtherModelError: it was trained on another model.
        OtherPromptsError: it was trained on prompts of another format.
    """

    keeps = ("loglikelihood",)
    source = "swag"

    @checked
    def __init__(
        self,
        *args: Any,
        swag: str = "",
        method: str = "",
        samples: int = 15,
        scale: float | None = None,
        low_rank: bool = True,
        diagonal: bool = True,
        centring: Any = "running",
        tensors: str = "*",
        member: int = 0,
        seed: int = 0,
        allow_seen: bool = False,
        allow_other: bool = False,
        **kwargs: Any,
    ) -> None:
        if not swag:
            raise missing("swag", "a folder of `lm-calib fit swag`", kwargs)
        if kwargs.get("peft"):
            raise invalid("peft", "left out: `swag` brings its LoRA weights", kwargs["peft"])
        draw = Draw(1.0, bool(low_rank), bool(diagonal), centring, str(tensors))
        self._mixture = Mixture(load(swag), method, samples, draw, scale, member, seed)
        self._held_out = before_loading(
            self._mixture.members[0].training,
            swag,
            kwargs,
            kind="posterior",
            allow_seen=allow_seen,
            allow_other=allow_other,
        )
        self._averaging = True
        self._mixture.say_if_a_point(log.warning)
        super().__init__(*args, **kwargs)
        after_loading(self._held_out, self)
        first = self._mixture.members[0]
        self._model = lora.attach(self.model, lora.config_of(first.adapter))
        self._model.eval()
        lora.put(self._adapted, first.mean)

    @property
    def _adapted(self) -> PeftModel:
        return self._model

    def loglikelihood(
        self, requests: list[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Averaged over the draws, option by option of each document."""
        found = documents(requests)
        asked = [d for d in found if len(d.options) > 1]
        before_scoring(self._held_out, requests, asked)
        drawn: list[Any] = list(super().loglikelihood(requests, disable_tqdm))
        return answers_of(drawn, found)

    def _loglikelihood_tokens(
        self,
        requests: list[TokenRequest],
        disable_tqdm: bool = False,
        override_bs: int | None = None,
    ) -> list[tuple[float, bool]]:
        if self._captured is not None or not requests or not self._averaging:
            return super()._loglikelihood_tokens(requests, disable_tqdm, override_bs)
        plain = [Request(context, continuation) for _, context, continuation in requests]
        score = self._scoring(plain, requests)
        members, samples = self._mixture.shape
        values = np.empty((members * samples, len(plain)))
        greedy = np.zeros(len(plain), dtype=np.int64)
        states = States(self._observe)
        with tqdm(
            total=len(values) * len(plain),
            disable=disable_tqdm or self.rank != 0,
            desc=f"Running loglikelihood requests ({len(values)} draws)",
        ) as bar:
            for row, weight_set in enumerate(self._mixture.weight_sets()):
                found = self._drawn(weight_set, requests, score, bar.update, states.take)
                values[row] = [answer[0] for answer in found]
                greedy += [answer[1] for answer in found]
        lora.put(self._adapted, self._mixture.members[0].mean)
        states.tell(len(values))
        draws = values.reshape(members, samples, len(plain))
        return [
            DrawnAnswer(float(mean), bool(2 * count > len(values)), draws[:, :, number])
            for number, (mean, count) in enumerate(zip(values.mean(axis=0), greedy, strict=True))
        ]

    def _shares(self, plain: list[Request]) -> list[tuple[Executor[Any], list[int]]]:
        """By the base alone: LoRA mixes no tokens, and strong weights make bfloat16 noisier."""
        with self._adapted.disable_adapter():
            return super()._shares(plain)

    def _scoring(self, plain: list[Request], requests: list[TokenRequest]) -> Score:
        """What scores requests under the weights in place: planned once, or as `hf`."""
        shares = [
            (executor, numbers, executor.plan([plain[n] for n in numbers]))
            for executor, numbers in self._shares(plain)
        ]
        slowly = super()._loglikelihood_tokens

        def score(numbers: list[int], progress: Any, observe: Any) -> list[Any]:
            answers: dict[int, tuple[float, bool]] = {}

            def by(executor: Executor[Any], asked: list[int], plan: Any) -> None:
                def answered(found: Mapping[int, ScoredRequest]) -> None:
                    new = {asked[n]: (value, best) for n, (value, best) in found.items()}
                    report(self.cache_hook, "loglikelihood", {requests[n][0]: new[n] for n in new})
                    answers.update(new)
                    progress(len(found))

                def seen(found: Answers) -> None:
                    observe(found._replace(requests=[asked[n] for n in found.requests]))

                some = [plain[n] for n in asked]
                executor.score(some, plan=plan, answered=answered, observe=seen)

            wanted = set(numbers)
            for executor, own, plan in shares:
                asked = [n for n in own if n in wanted]
                by(executor, asked, plan if len(asked) == len(own) else None)
            rest = [n for n in numbers if n not in answers]
            if rest and self._observe is not None:
                by(self._one_by_one(), rest, None)
            elif rest:
                found = slowly([requests[n] for n in rest], True)
                answers.update(zip(rest, found, strict=True))
                progress(len(rest))
            return [answers[n] for n in numbers]

        return score

    def _drawn(
        self,
        weight_set: WeightSet,
        requests: list[TokenRequest],
        score: Score,
        progress: Callable[[int], Any],
        observe: Callable[[Answers], None],
    ) -> list[tuple[float, bool]]:
        """A draw's answers to all requests, each kept as it comes where there is a cache."""
        kept = self._kept_of(weight_set)
        known = kept.known([text for text, _, _ in requests])
        if weight_set.dropout is not None and len(known) < len(requests):
            known = {}  # its noise is that of one pass over all requests
        progress(len(known))

        def ask(missing: list[int]) -> list[tuple[float, bool]]:
            lora.put(self._adapted, weight_set.weights)
            if weight_set.dropout is None:
                return score(missing, progress, observe)
            with lora.dropout(self._adapted, weight_set.dropout):
                return score(missing, progress, observe)

        with reporting_to(self, kept):
            return completed(len(requests), known, ask)

    def _kept_of(self, weight_set: WeightSet) -> Computed:
        """Where a draw's answers are kept: under the name of its weights."""
        cache = getattr(self.cache_hook, "dbdict", None)
        if cache is None:
            return Computed(None)
        member = self._mixture.members[weight_set.member]
        base = (
            member.training.fingerprint,
            json.dumps(member.adapter, sort_keys=True, default=str),
        )
        weights = (of_tensors(weight_set.weights), weight_set.dropout)
        return Computed(cache, "draw", setting(self), *base, *weights)

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[Any]:
        """Of the first member's mean."""
        self._averaging = False
        try:
            return list(super().loglikelihood_rolling(requests, disable_tqdm))
        finally:
            self._averaging = True

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Keep what each draw says, under a name of its own: averages are not told of.

        Raises:
            CalibrationError: this harness does not hand over all requests.
        """
        refuse_parts(cache_hook)
        super().set_cache_hook(cache_hook)

    def get_model_info(self) -> dict[str, Any]:
        """As `hf`, and what was averaged."""
        mixture = self._mixture
        members, samples = mixture.shape
        return {
            **super().get_model_info(),
            "swag": {
                **self._held_out.account(),
                "method": mixture.method,
                "members": members,
                "samples": samples,
                "scales": mixture.scales,
            },
        }
