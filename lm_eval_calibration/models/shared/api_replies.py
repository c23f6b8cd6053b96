"""Replies of OpenAI-compatible servers, made sure of before the harness's classes read them.

The harness takes as many answers as a reply has, whatever was asked for, so that one choice more or
less shifts all answers that follow; it adds up log-probabilities by their place, however many there
are; and it hands on whatever stands where the text should be.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.answers import (
    Cut,
    Failed,
    Unscored,
    UnusableError,
    log_probability,
    shown,
    text_of,
)

log = logger(f"lm_eval.{__name__}")

CUT = "length"
"""`finish_reason` of a reply whose room was used up."""
THOUGHTS = ("reasoning_content", "reasoning")
"""Where servers put what a model thought."""
_PROMPTS: ContextVar[int] = ContextVar("_PROMPTS", default=1)
"""How many prompts the call under way has: calls run side by side, each in a context of its own."""


class CheckedReplies:
    """Goes before an API class of the harness: one answer for each prompt, or a reason."""

    chat: bool
    tells_cuts = True
    _said = False

    def model_call(self, messages: Any, **options: Any) -> Any:
        """As the class has it, one after another."""
        _PROMPTS.set(len(messages))
        return super().model_call(messages, **options)  # type: ignore[misc]

    async def amodel_call(self, session: Any, sem: Any, messages: Any, **options: Any) -> Any:
        """As the class has it, side by side."""
        _PROMPTS.set(len(messages))
        return await super().amodel_call(session, sem, messages, **options)  # type: ignore[misc]

    def _create_payload(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """As the class has it, without a list of no stops, which some servers refuse."""
        payload: dict[str, Any] = super()._create_payload(*arguments, **options)  # type: ignore[misc]
        if not payload.get("stop", True):
            del payload["stop"]
        return payload

    def parse_generations(self, outputs: Any, **options: Any) -> list[str]:
        """A text for each prompt, `Failed` where there is none."""
        texts = [self._text(choice) for choice in self._choices(outputs, _PROMPTS.get())]
        plain = [{"index": i, **_choice(text, self.chat)} for i, text in enumerate(texts)]
        read = super().parse_generations(outputs=[{"choices": plain}], **options)  # type: ignore[misc]
        return [t if isinstance(t, (Failed, Cut)) else r for t, r in zip(texts, read, strict=True)]

    def parse_logprobs(
        self, outputs: Any, tokens: Any = None, ctxlens: Any = None, **options: Any
    ) -> list[tuple[float, bool]]:
        """A log-likelihood for each prompt, `Unscored` where tokens and numbers do not fit."""
        found: list[tuple[float, bool]] = []
        choices = self._choices(outputs, len(ctxlens))
        for choice, prompt, begin in zip(choices, tokens, ctxlens, strict=True):
            try:
                _refuse_misfit(choice, len(prompt), begin)
            except UnusableError as error:
                found.append(Unscored(str(error)))
                continue
            one = {"outputs": [{"choices": [{**choice, "index": 0}]}], "ctxlens": [begin]}
            found += super().parse_logprobs(tokens=[prompt], **one, **options)  # type: ignore[misc]
        return found

    def _choices(self, outputs: Any, count: int) -> list[Any]:
        """A choice for each prompt: the first of its own, or a text that says why there is none."""
        reply = outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs
        given = reply.get("choices") if isinstance(reply, dict) else None
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            return ["a reply without choices"] * count
        places = [each.get("index") for each in given]
        if sorted(places, key=str) == sorted(range(len(given)), key=str):
            given = sorted(given, key=lambda each: each["index"])
        if not given or len(given) % count:
            return [f"{len(given)} choices for {count} prompts"] * count
        if len(given) > count and not self._said:
            log.warning("The server gives several choices for a prompt; the first is taken.")
            self._said = True
        return given[:: len(given) // count]

    def _text(self, choice: Any) -> str:
        if isinstance(choice, str):
            return Failed(choice)
        message = choice.get("message") if self.chat else choice
        name = "content" if self.chat else "text"
        message = message if isinstance(message, dict) else {}
        content, end = message.get(name), choice.get("finish_reason")
        thought = any(message.get(each) for each in THOUGHTS)
        if end == CUT and content is None:
            content = ""
        try:
            text = text_of(content)
        except UnusableError as error:
            return Failed(f"{error}; it ended by {shown(end)}" if end else str(error))
        return Cut(text, thinking=thought and not text) if end == CUT else text


def with_checked_replies(model: type) -> type:
    """An API class of the harness whose replies are made sure of; any other class as it is."""
    parse = getattr(model, "parse_generations", None)
    if parse is None or "TemplateAPI" not in {each.__name__ for each in model.__mro__}:
        return model
    from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

    if parse not in (LocalChatCompletion.parse_generations, LocalCompletionsAPI.parse_generations):
        return model  # (it reads replies of another form)
    chat = parse is LocalChatCompletion.parse_generations
    return type(model.__name__, (CheckedReplies, model), {"chat": chat})


def _choice(text: str, chat: bool) -> dict[str, Any]:
    """A text as a server has it."""
    return {"message": {"content": str(text)}} if chat else {"text": str(text)}


def _refuse_misfit(choice: Any, count: int, begin: int) -> None:
    """Stop where a choice has not a log-probability for each token of a prompt, and one more.

    Args:
        choice: of a server that was asked to echo the prompt, and for one token after it.
        count: tokens of the prompt.
        begin: the first token whose log-probability counts.

    Raises:
        UnusableError: it has not.
    """
    if isinstance(choice, str):
        raise UnusableError(choice)
    given = choice.get("logprobs")
    if not isinstance(given, dict):
        raise UnusableError(f"{shown(given)} for log-probabilities")
    values, top = given.get("token_logprobs"), given.get("top_logprobs")
    for name, numbers in (("token_logprobs", values), ("top_logprobs", top)):
        if not isinstance(numbers, list):
            raise UnusableError(f"{shown(numbers)} for `{name}`")
        if len(numbers) != count + 1:
            raise UnusableError(
                f"{len(numbers)} `{name}` for {count} tokens and one more, so that they cannot be "
                "told apart: does the server use this tokenizer, and add no token of its own?"
            )
    assert isinstance(values, list) and isinstance(top, list)
    for value, likeliest in zip(values[begin:-1], top[begin:-1], strict=True):
        log_probability(value)
        _refuse_odd(likeliest)


def _refuse_odd(likeliest: Any) -> None:
    if not isinstance(likeliest, dict) or not likeliest:
        raise UnusableError(f"{shown(likeliest)} for the likeliest tokens")
    numbers: Sequence[Any] = list(likeliest.values())
    for number in numbers:
        log_probability(number)
