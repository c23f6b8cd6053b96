"""`--model adapters`: an engine that loads LoRA adapters, its option probabilities averaged over them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from lm_eval_calibration.arguments import checked
from lm_eval_calibration.draws import DrawnAnswer
from lm_eval_calibration.errors import invalid
from lm_eval_calibration.harness.api import register_model
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.held_out import (
    after_loading,
    before_loading,
    before_scoring,
    refuse_cache,
)
from lm_eval_calibration.models.shared.instances import documents
from lm_eval_calibration.models.shared.wrapper import Wrapper, known_model
from lm_eval_calibration.swag.adapters import Adapters, load
from lm_eval_calibration.swag.averaging import answers_of

log = logger(f"lm_eval.{__name__}")

ENGINES = ("VLLM", "TemplateAPI")
"""Models of the harness that can be told which adapter to use, by name."""


@register_model("adapters")
class AdaptersLM(Wrapper):
    """`--model swag` on vLLM, or on a server that has the adapters under their folders' names.

    Each adapter scores all documents; probabilities of options are averaged as there. Rolling
    log-likelihoods and generation use the first member's mean.

    Args:
        base: `vllm`, or a class of servers with log-likelihoods, as `local-completions`.
        adapters: folder of `lm-calib swag export`.
        allow_seen: evaluate on documents that were trained on, too.
        allow_other: use them on another model, or on prompts of another format.
        **model_args: the base's.

    Raises:
        InvalidInputError: no draws can be read there, or the base loads no adapters.
        OtherModelError: they are of another model.
        OtherPromptsError: they were trained on prompts of another format.
    """

    source = "swag"

    @checked
    def __init__(
        self,
        base: str = "",
        adapters: str = "",
        allow_seen: bool = False,
        allow_other: bool = False,
        **model_args: Any,
    ) -> None:
        if not adapters:
            raise invalid("adapters", "a folder of `lm-calib swag export`", "nothing")
        self._adapters = load(adapters)
        self._local = "VLLM" in _engine_of(base)
        self._held_out = before_loading(
            self._adapters.training, adapters, model_args, kind="posterior",
            allow_seen=allow_seen, allow_other=allow_other,
        )  # fmt: skip
        if self._local:
            model_args = {**_engine_args(self._adapters), **model_args}
        super().__init__(base, **model_args)
        after_loading(self._held_out, self.base)

    def loglikelihood(self, requests: list[Any], **options: Any) -> list[tuple[float, bool]]:
        """Averaged over the adapters, option by option of each document."""
        found = documents(requests)
        asked = [d for d in found if len(d.options) > 1]
        before_scoring(self._held_out, requests, asked)
        told = []
        for number, name in enumerate(self._adapters.draws, 1):
            log.info("swag: adapter %d of %d (%s)", number, len(self._adapters.draws), name)
            with self._using(name):
                told.append(super().loglikelihood(requests, **options))
        shape = (self._adapters.members, self._adapters.samples, len(requests))
        values = np.array([[answer[0] for answer in each] for each in told]).reshape(shape)
        greedy = np.array([[answer[1] for answer in each] for each in told], dtype=float)
        drawn = [
            DrawnAnswer(float(values[:, :, i].mean()), bool(best > 0.5), values[:, :, i])
            for i, best in enumerate(greedy.mean(axis=0))
        ]
        return answers_of(drawn, found)

    def loglikelihood_rolling(self, requests: list[Any], **options: Any) -> list[Any]:
        """Of the first member's mean."""
        with self._using(self._adapters.mean):
            return super().loglikelihood_rolling(requests, **options)

    def generate_until(self, requests: list[Any], **options: Any) -> list[str]:
        """By the first member's mean."""
        with self._using(self._adapters.mean):
            return super().generate_until(requests, **options)

    @contextlib.contextmanager
    def _using(self, name: str) -> Iterator[None]:
        """Have the base answer with an adapter."""
        attribute = "lora_request" if self._local else "model"
        before = getattr(self.base, attribute)
        setattr(self.base, attribute, self._request(name) if self._local else name)
        try:
            yield
        finally:
            setattr(self.base, attribute, before)

    def _request(self, name: str) -> Any:
        """VLLM's name of an adapter."""
        from vllm.lora.request import LoRARequest

        number = self._adapters.names.index(name) + 1
        return LoRARequest(name, number, str(self._adapters.path(name)))

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Refuse a cache, whose answers would be of no adapter's."""
        refuse_cache(cache_hook, "answers are averages over adapters")
        super().set_cache_hook(cache_hook)

    def get_model_info(self) -> dict[str, Any]:
        """The base's, and what was averaged."""
        used = self._adapters
        told = {"method": used.method, "members": used.members, "samples": used.samples}
        return {**super().get_model_info(), "swag": {**self._held_out.account(), **told}}


def _engine_args(adapters: Adapters) -> dict[str, Any]:
    """What vLLM is to be started with; without the layers' names it adapts the output layer too."""
    from vllm.engine.arg_utils import EngineArgs

    given: dict[str, Any] = {"enable_lora": True, "max_lora_rank": adapters.room}
    if "lora_target_modules" in EngineArgs.__dataclass_fields__:
        given["lora_target_modules"] = adapters.targets
    return given


def _engine_of(base: str) -> set[str]:
    names = {each.__name__ for each in known_model(base).__mro__}
    if not names & set(ENGINES):
        raise invalid(
            "base",
            "one that loads adapters: vllm, or local-completions of a server that has them",
            f"`{base}`",
            "In transformers: --model swag.",
        )
    return names
