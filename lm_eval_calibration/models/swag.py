"""`--model swag`: `hf-fast` with LoRA weights, its option probabilities averaged over draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from lm_eval.api.registry import register_model
from peft import LoraConfig, PeftModel
from scipy.special import log_softmax, logsumexp
from tqdm import tqdm

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.draws import DrawnAnswer
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.models.held_out import (
    after_loading,
    before_loading,
    before_scoring,
    refuse_cache,
)
from lm_eval_calibration.models.hf_fast import FastHFLM, TokenRequest
from lm_eval_calibration.models.instances import documents
from lm_eval_calibration.predictions import Floats
from lm_eval_calibration.scoring.engine import Answers, Engine
from lm_eval_calibration.scoring.sequences import Request
from lm_eval_calibration.swag import Draw, load, lora
from lm_eval_calibration.swag.mixture import Mixture, WeightSet

Score = Callable[[Any, Any], list[Any]]
"""Answers to all requests, given a progress bar's function and an observer of the passes."""


@register_model("swag")
class SwagLM(FastHFLM):
    """SWAG over LoRA (Onal et al., 2024), and what it is compared with, at evaluation time.

    Each weight set is put in place once and scores all documents. The answers are the logarithms
    of the averaged option probabilities, each document's plus a constant: the draws' mean
    log-likelihood of its options together, so that with one draw they are the plain
    log-likelihoods. Rolling log-likelihoods and generation use the first member's mean.

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
            raise invalid("swag", "a folder of `lm-calib fit swag`", "nothing")
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
        super().__init__(*args, **kwargs)
        after_loading(self._held_out, self)
        first = self._mixture.members[0]
        self._model = lora.attach(self.model, LoraConfig(**first.adapter))
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
        answers = list(drawn)
        for document in found:
            for options in (document.options, [[number] for number in document.unconditional]):
                for numbers, value in zip(options, _averaged(drawn, options), strict=True):
                    for number in numbers:
                        one = drawn[number]
                        answers[number] = DrawnAnswer(float(value), one[1], one.draws)
        return answers

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
        states = _States(self._observe)
        with tqdm(
            total=len(values) * len(plain),
            disable=disable_tqdm or self.rank != 0,
            desc=f"Running loglikelihood requests ({len(values)} draws)",
        ) as bar:
            for row, weight_set in enumerate(self._mixture.weight_sets()):
                found = self._under(weight_set, lambda: score(bar.update, states.take))
                values[row] = [answer[0] for answer in found]
                greedy += [answer[1] for answer in found]
        lora.put(self._adapted, self._mixture.members[0].mean)
        states.tell(len(values))
        draws = values.reshape(members, samples, len(plain))
        return [
            DrawnAnswer(float(mean), bool(2 * count > len(values)), draws[:, :, number])
            for number, (mean, count) in enumerate(zip(values.mean(axis=0), greedy, strict=True))
        ]

    def _trusted(self, plain: list[Request]) -> bool:
        """Of the base alone: LoRA mixes no tokens, and strong weights make bfloat16 noisier."""
        with self._adapted.disable_adapter():
            return super()._trusted(plain)

    def _scoring(self, plain: list[Request], requests: list[TokenRequest]) -> Score:
        """What scores all requests under the weights in place: packed, planned once, or as `hf`."""
        if not self._trusted(plain) or not isinstance(self._engine, Engine):
            slowly = super()._loglikelihood_tokens

            def as_hf(progress: Any, _: Any) -> list[Any]:
                found = slowly(requests, True)
                progress(len(found))
                return list(found)

            return as_hf
        engine, rows = self._engine, self._engine.plan(plain)
        return lambda progress, observe: engine.score(
            plain, rows=rows, progress=progress, observe=observe
        )

    def _under(self, weight_set: WeightSet, score: Callable[[], list[Any]]) -> list[Any]:
        lora.put(self._adapted, weight_set.weights)
        if weight_set.dropout is None:
            return score()
        with lora.dropout(self._adapted, weight_set.dropout):
            return score()

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Of the first member's mean."""
        self._averaging = False
        try:
            return list(super().loglikelihood_rolling(requests, disable_tqdm))
        finally:
            self._averaging = True

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Refuse a cache: it would keep averages, and lose the draws they are made of."""
        refuse_cache(cache_hook, "a cached answer is one number, without the draws it is made of")
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


def _averaged(drawn: list[Any], options: list[list[int]]) -> Floats:
    """(K,) log of the averaged probabilities of options, plus the draws' mean total."""
    if not options:
        return np.empty(0)
    logits = np.stack([drawn[numbers[0]].draws.reshape(-1) for numbers in options], axis=-1)
    if len(logits) == 1:
        return np.asarray(logits[0])
    if len(options) == 1:
        return np.asarray(logsumexp(logits, axis=0) - np.log(len(logits)))
    averaged = logsumexp(log_softmax(logits, axis=-1), axis=0) - np.log(len(logits))
    return np.asarray(averaged + logsumexp(logits, axis=-1).mean())


class _States:
    """Hidden states of all draws, averaged before an observer sees them."""

    def __init__(self, observe: Callable[[Answers], None] | None) -> None:
        self.observe = observe
        self.sums: dict[int, torch.Tensor] = {}

    def take(self, found: Answers) -> None:
        """Add one pass of one draw."""
        if self.observe is not None:
            for number, state in zip(found.requests, found.hidden.float(), strict=True):
                self.sums[number] = self.sums.get(number, 0.0) + state

    def tell(self, draws: int) -> None:
        """Show the averages."""
        if self.observe is not None and self.sums:
            empty = torch.empty(0)
            states = torch.stack([total / draws for total in self.sums.values()])
            self.observe(Answers(list(self.sums), empty, empty, states))
