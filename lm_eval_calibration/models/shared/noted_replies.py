"""What a model in this process tells of its replies: which were cut, and vLLM's tokens.

The harness hands on their texts alone.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from lm_eval_calibration.harness.api import hash_args
from lm_eval_calibration.harness.requests import GENERATE
from lm_eval_calibration.metrics.token_scores import of_distribution
from lm_eval_calibration.models.shared.likeliest import MOST_TOKENS
from lm_eval_calibration.models.shared.reply import Reply
from lm_eval_calibration.verbal.letters import FOLLOWS, Token

UNFINISHED = "\ufffd"
"""At a text's end: a character of which some bytes are still to come."""
ENGINES = ("HFLM", "VLLM")
"""Models of the harness that generate by `_model_generate`, by name."""


class ToldReplies(NamedTuple):
    """Of one reply: whether its room was used up, and its tokens, where they were asked for."""

    cut: bool = False
    tokens: tuple[Token, ...] = ()

    def of(self, text: str) -> str:
        """The reply with what was told of it."""
        return Reply(text, self.cut, tokens=self.tokens) if self.cut or self.tokens else text


class NotedReplies:
    """Goes before a model of the harness: its replies are `Reply` where something is told of them."""

    tells_cuts = True
    _told: deque[ToldReplies]

    def generate_until(self, requests: list[Any], *args: Any, **options: Any) -> list[str]:
        """As the model has it."""
        self._told = deque()
        hook: Any = self.cache_hook  # type: ignore[has-type]
        listener = _Listener(hook, self._told)
        self.cache_hook = listener
        try:
            found = super().generate_until(requests, *args, **options)  # type: ignore[misc]
        finally:
            self.cache_hook = hook
        return [listener.take(*each) for each in zip(requests, found, strict=True)]

    def noted(self, written: Any) -> None:
        """Called by `hf-fast` with each text of its own."""
        tokenizer: Any = self.tokenizer  # type: ignore[attr-defined]
        numbers = written.tokens if written.scores else []
        self._told.append(ToldReplies(written.cut, told_tokens(tokenizer, numbers, written.scores)))

    def _model_generate(self, *args: Any, **options: Any) -> Any:
        found = super()._model_generate(*args, **options)  # type: ignore[misc]
        if isinstance(found, torch.Tensor):
            context = options["context"] if "context" in options else args[0]
            self._told.extend(map(ToldReplies, self._of_rows(context, found, options)))
        return found

    def _of_rows(
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


class NotedTokens(NotedReplies):
    """The same of vLLM, which tells log-probabilities of a reply's tokens where `logprobs` is set."""

    tells_own_tokens = True

    def _model_generate(self, *args: Any, **options: Any) -> Any:
        given = options.get("sampling_params") or []
        for each in given if isinstance(given, list) else [given]:
            if each.logprobs == 1:  # (it makes one of "true")
                each.logprobs = MOST_TOKENS
        found = super()._model_generate(*args, **options)
        if options.get("generate"):
            self._told.extend(map(self._of_output, found))
        return found

    def _of_output(self, output: Any) -> ToldReplies:
        said = output.outputs[0]
        cut = getattr(said, "finish_reason", None) == "length"
        places = getattr(said, "logprobs", None)
        if not places:
            return ToldReplies(cut)
        numbers = list(said.token_ids)[: len(places)]
        scores = [_scores(n, place) for n, place in zip(numbers, places, strict=False)]
        return ToldReplies(cut, told_tokens(self.tokenizer, numbers, scores))  # type: ignore[attr-defined]


class _Listener:
    """The model's cache hook, which hears each reply in the order of generation."""

    def __init__(self, hook: Any, told: deque[ToldReplies]) -> None:
        self._hook, self._told = hook, told
        self._heard: dict[str, deque[ToldReplies]] = defaultdict(deque)
        self.dbdict = getattr(hook, "dbdict", None)

    def add_partial(self, attr: str, req: Any, res: Any) -> None:
        """Called by the model with each reply."""
        told = self._told.popleft() if self._told else ToldReplies()
        for key in (hash_args(attr, req), str(req[0])):
            self._heard[key].append(told)
        if self._hook is not None:
            hears = getattr(self._hook, "hears_cuts", False)
            self._hook.add_partial(attr, req, told.of(res) if hears else res)

    def take(self, request: Any, text: str) -> str:
        """A request's reply with what was told of it.

        (vLLM's class reports other settings than it was given, but equal prompts in their order.)
        """
        for key in (hash_args(GENERATE, request.args), str(request.args[0])):
            if self._heard.get(key):
                return self._heard[key].popleft().of(text)
        return text


def with_noted_replies(model: type) -> type:
    """A model that tells of its replies what can be known; else as it is."""
    names = {each.__name__ for each in model.__mro__}
    if not names & set(ENGINES) or not hasattr(model, "_model_generate"):
        return model
    noted = NotedTokens if "VLLM" in names else NotedReplies
    return type(model.__name__, (noted, model), {})


def told_tokens(
    tokenizer: Any, numbers: Sequence[int], scores: Sequence[tuple[float, ...]]
) -> tuple[Token, ...]:
    """Tokens with their scores, and what each adds to the text before it; of a character's tokens the first has it all."""
    texts, before, begin = [FOLLOWS] * len(numbers), 0, 0
    for end in range(1, len(numbers) + 1):
        known, text = (tokenizer.decode(list(numbers[before:n])) for n in (begin, end))
        if text.endswith(UNFINISHED) and end < len(numbers):
            continue
        texts[begin] = text[len(known) :]
        before, begin = begin, end
    return tuple(Token(text, (), each) for text, each in zip(texts, scores, strict=True))


def _numbers(value: Any) -> list[int]:
    """None, one or several."""
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _scores(number: int, place: Mapping[int, Any]) -> tuple[float, ...]:
    """Log-probability, margin and entropy in a place, of the likeliest tokens there."""
    logs = {n: min(float(getattr(each, "logprob", each)), 0.0) for n, each in place.items()}
    return (logs[number], *of_distribution(np.exp(list(logs.values())))) if number in logs else ()
