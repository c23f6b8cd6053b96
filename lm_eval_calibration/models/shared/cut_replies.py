"""Which replies of a model in this process ended because their room was used up.

The harness hands on their texts alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch

from lm_eval_calibration.models.shared.reply import Reply

ENGINES = ("HFLM", "VLLM")
"""Models of the harness that generate by `_model_generate`, by name."""


class NotedCuts:
    """Goes before a model of the harness: a reply that was cut is a `Reply` that says so."""

    tells_cuts = True
    _ended: deque[bool]

    def generate_until(self, requests: list[Any], *args: Any, **options: Any) -> list[str]:
        """As the model has it."""
        self._ended = deque()
        hook: Any = self.cache_hook  # type: ignore[has-type]
        listener = _Listener(hook, self._ended)
        self.cache_hook = listener
        try:
            found = super().generate_until(requests, *args, **options)  # type: ignore[misc]
        finally:
            self.cache_hook = hook
        return [Reply(text, cut=True) if text in listener.cut else text for text in found]

    def _model_generate(self, *args: Any, **options: Any) -> Any:
        found = super()._model_generate(*args, **options)  # type: ignore[misc]
        if isinstance(found, torch.Tensor):
            context = options["context"] if "context" in options else args[0]
            self._ended.extend(self._of_tokens(context, found, options))
        elif options.get("generate"):
            self._ended.extend(_ended_by(output) == "length" for output in found)
        return found

    def _of_tokens(
        self, context: torch.Tensor, found: torch.Tensor, options: dict[str, Any]
    ) -> list[bool]:
        """Whether each row has neither an end nor a stop before its room is used up."""
        if found.shape[1] < int(options["max_length"]):
            return [False] * len(found)
        tokenizer: Any = self.tokenizer  # type: ignore[attr-defined]
        causal = self.backend == "causal"  # type: ignore[attr-defined]
        new = found[:, context.shape[1] :] if causal else found[:, 1:]
        model: Any = self.model  # type: ignore[attr-defined]
        ends = {tokenizer.pad_token_id, tokenizer.eos_token_id}
        ends |= set(_numbers(model.generation_config.eos_token_id))
        texts = tokenizer.batch_decode(new, skip_special_tokens=False)
        stops: Sequence[str] = [stop for stop in options.get("stop") or () if stop]
        return [
            not ends & set(row) and not any(stop in text for stop in stops)
            for row, text in zip(new.tolist(), texts, strict=True)
        ]


class _Listener:
    """The model's cache hook, which hears each reply in the order of generation."""

    def __init__(self, hook: Any, ended: deque[bool]) -> None:
        self._hook, self._ended = hook, ended
        self.cut: set[str] = set()
        self.dbdict = getattr(hook, "dbdict", None)

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by the model with each reply."""
        if self._ended and self._ended.popleft():
            self.cut.add(res)
            res = Reply(res, cut=True) if getattr(self._hook, "hears_cuts", False) else res
        if self._hook is not None:
            self._hook.add_partial(attr, req, res)


def with_noted_cuts(model: type) -> type:
    """A model that tells which of its replies were cut, where it can be known; else as it is."""
    names = {each.__name__ for each in model.__mro__}
    if not names & set(ENGINES) or not hasattr(model, "_model_generate"):
        return model
    return type(model.__name__, (NotedCuts, model), {})


def _numbers(value: Any) -> list[int]:
    """None, one or several."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _ended_by(output: Any) -> Any:
    """Why one of vLLM's replies ended."""
    return getattr(output.outputs[0], "finish_reason", None)
