"""Replies of OpenAI-compatible servers, made sure of before the harness's classes read them.

The harness takes as many answers as a reply has, whatever was asked for, so that one choice more or
less shifts all answers that follow; it adds up log-probabilities by their place, however many there
are; and it hands on whatever stands where the text should be.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from lm_eval_calibration.errors import RefusedByServerError
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.shared.answers import (
    Unscored,
    UnusableError,
    log_probability,
    shown,
    text_of,
)
from lm_eval_calibration.models.shared.likeliest import ASKED, MOST_TOKENS, likeliest
from lm_eval_calibration.models.shared.reply import Failed, Reply
from lm_eval_calibration.models.shared.several import COUNT, Several, SeveralSamples

log = logger(f"lm_eval.{__name__}")

CUT = "length"
"""`finish_reason` of a reply whose room was used up."""
COUNTS = ("prompt_tokens", "completion_tokens")
THOUGHTS = ("reasoning_content", "reasoning")
"""Where servers put what a model thought."""
_PROMPTS: ContextVar[int] = ContextVar("_PROMPTS", default=1)
"""How many prompts the call under way has: calls run side by side, each in a context of its own."""
_WANTED: ContextVar[int] = ContextVar("_WANTED", default=1)
"""How many samples of each."""


class CheckedReplies:
    """Goes before an API class of the harness: one answer for each prompt, or a reason."""

    chat: bool
    tells_cuts = tells_tokens = True
    _said = False
    _most: int | None = None

    @functools.cached_property
    def spent(self) -> Counter[str]:
        """Requests that were answered, and tokens of prompts and replies, where the server counts them."""
        return Counter()

    def generate_until(self, requests: list[Any], *arguments: Any, **options: Any) -> list[str]:
        """As the class has it, once it is known how many of the likeliest tokens the server gives.

        Raises:
            RefusedByServerError: they are asked for, and it gives none.
        """
        asking = next((r.args for r in requests if r.args[1].get(ASKED)), None)
        if asking is not None and self._most is None:
            self._settle(*asking[:2])
        return super().generate_until(requests, *arguments, **options)  # type: ignore[misc]

    def _settle(self, context: Any, settings: dict[str, Any]) -> None:
        """Ask once for as many as anyone gives, and where that is refused for fewer."""
        tokenized: bool = self.tokenized_requests  # type: ignore[attr-defined]
        prompt = self.tok_encode(context) if tokenized else context  # type: ignore[attr-defined]
        few = {**settings, "max_gen_toks": 1}
        self._most, again = MOST_TOKENS, False
        while self._most:
            try:
                reply = self.model_call(messages=[prompt], generate=True, gen_kwargs=few)
                if _gives(reply):
                    return
                said = "it answers without"
                if again:
                    break
                again = True  # (a server may lack them once)
            except Exception as error:  # noqa: BLE001 - whatever else it is, the run will meet it
                said = _refusal(error)
                if not said:
                    return
                fewer = [n for n in map(int, re.findall(r"\b\d{1,3}\b", said)) if n < self._most]
                self._most = max(fewer, default=self._most // 2)
        self._most = None
        raise RefusedByServerError(
            f"The server gives no log-probabilities of tokens ({said[:300]}). `--model verbalized` asks in words."
        )

    def model_call(self, messages: Any, **options: Any) -> Any:
        """As the class has it, one after another."""
        _note(messages, options)
        return super().model_call(messages, **options)  # type: ignore[misc]

    async def amodel_call(self, session: Any, sem: Any, messages: Any, **options: Any) -> Any:
        """As the class has it, side by side."""
        _note(messages, options)
        return await super().amodel_call(session, sem, messages, **options)  # type: ignore[misc]

    def _create_payload(self, *arguments: Any, **options: Any) -> dict[str, Any]:
        """As the class has it, without a list of no stops, which some servers refuse."""
        payload: dict[str, Any] = super()._create_payload(*arguments, **options)  # type: ignore[misc]
        if not payload.get("stop", True):
            del payload["stop"]
        if payload.get(ASKED) is True:
            most = self._most or MOST_TOKENS
            payload |= {ASKED: True, f"top_{ASKED}": most} if self.chat else {ASKED: most}
        return payload

    def parse_generations(self, outputs: Any, **options: Any) -> list[str]:
        """A text for each prompt, `Failed` where there is none; `Several` where several were asked for."""
        self.spent.update(_usage(outputs))
        count, each = _PROMPTS.get(), _WANTED.get()
        if each > 1 and _given(outputs) == count * each:
            found = self._read(self._choices(outputs, count * each), options)
            return [Several(found[i : i + each]) for i in range(0, len(found), each)]
        return self._read(self._choices(outputs, count), options)

    def _read(self, choices: Sequence[Any], options: dict[str, Any]) -> list[str]:
        texts = [self._text(choice) for choice in choices]
        plain = [{"index": i, **_choice(text, self.chat)} for i, text in enumerate(texts)]
        read = super().parse_generations(outputs=[{"choices": plain}], **options)  # type: ignore[misc]
        return [_as_read(*each) for each in zip(texts, read, strict=True)]

    def parse_logprobs(
        self, outputs: Any, tokens: Any = None, ctxlens: Any = None, **options: Any
    ) -> list[tuple[float, bool]]:
        """A log-likelihood for each prompt, `Unscored` where tokens and numbers do not fit."""
        self.spent.update(_usage(outputs))
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
        thought = next((str(message[each]) for each in THOUGHTS if message.get(each)), "")
        if end == CUT and content is None:
            content = ""
        try:
            text, tokens = text_of(content), likeliest(choice)
        except UnusableError as error:
            return Failed(f"{error}; it ended by {shown(end)}" if end else str(error))
        if end != CUT and not thought and not tokens:
            return text
        return Reply(text, end == CUT, bool(thought) and not text, thought, tokens)


def with_checked_replies(model: type) -> type:
    """An API class of the harness whose replies are made sure of; any other class as it is."""
    parse = getattr(model, "parse_generations", None)
    if parse is None or "TemplateAPI" not in {each.__name__ for each in model.__mro__}:
        return model
    from lm_eval.models.openai_completions import LocalChatCompletion, LocalCompletionsAPI

    if parse not in (LocalChatCompletion.parse_generations, LocalCompletionsAPI.parse_generations):
        return model  # (it reads replies of another form)
    chat = parse is LocalChatCompletion.parse_generations
    return type(model.__name__, (SeveralSamples, CheckedReplies, model), {"chat": chat})


def _as_read(given: str, read: str) -> str:
    """What the harness's class makes of a text (it may leave out thinking), with what was told of it."""
    if isinstance(given, Failed) or not isinstance(given, Reply):
        return given if isinstance(given, Failed) else read
    return given if given.cut else given.saying(read)


def _note(messages: Any, options: Mapping[str, Any]) -> None:
    _PROMPTS.set(len(messages))
    _WANTED.set(int((options.get("gen_kwargs") or {}).get(COUNT) or 1))


def _given(outputs: Any) -> int:
    """How many choices a reply has."""
    reply = outputs[0] if isinstance(outputs, list) and len(outputs) == 1 else outputs
    choices = reply.get("choices") if isinstance(reply, dict) else None
    return len(choices) if isinstance(choices, list) else 0


def _usage(outputs: Any) -> Counter[str]:
    """What one reply of a server says that it took."""
    reply = outputs[0] if isinstance(outputs, list) and outputs else outputs
    usage = reply.get("usage") if isinstance(reply, dict) else None
    numbers = usage if isinstance(usage, dict) else {}
    told = {name: numbers.get(name) for name in COUNTS}
    return Counter({"requests": 1, **{n: v for n, v in told.items() if type(v) is int}})


def _gives(reply: Any) -> bool:
    """Whether a reply has log-probabilities, or is none at all, of which the run will say more."""
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return True
    message = choices[0].get("message")
    said = message.get("content") if isinstance(message, dict) else choices[0].get("text")
    return bool(choices[0].get(ASKED)) or not said  # (it may be thinking)


def _refusal(error: Exception) -> str:
    """What a server says that refuses to give so many log-probabilities; "" of any other error."""
    response = getattr(error, "response", None)
    said = str(getattr(response, "text", "")) if response is not None else ""
    refused = getattr(response, "status_code", 0) in (400, 403, 404, 422, 501)
    return said if refused and "logprob" in said.lower() else ""


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
    for value, best in zip(values[begin:-1], top[begin:-1], strict=True):
        log_probability(value)
        _refuse_odd(best)


def _refuse_odd(likeliest: Any) -> None:
    if not isinstance(likeliest, dict) or not likeliest:
        raise UnusableError(f"{shown(likeliest)} for the likeliest tokens")
    numbers: Sequence[Any] = list(likeliest.values())
    for number in numbers:
        log_probability(number)
