"""Bases that note what they were sent: a text model in this process, and chat servers."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar

import lm_eval.models  # noqa: F401 - before a model is registered, or its own are not
from fake_api import FakeApi
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model
from scripted_base import stated

START = "\x02"
"""Begins each turn in the template of the text model."""
Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, order=True)
class Sent:
    """One request: as turns, or as one text that nobody said; its stops, room and temperature."""

    turns: Turns
    stops: tuple[str, ...] = ()
    room: int = 0
    temperature: float = 0.0
    option: str = ""


def turns_of(prompt: str) -> Turns:
    """A text's turns, as `Recorder.apply_chat_template` wrote them."""
    if not prompt.startswith(START):
        return (("", prompt),)
    parts = [part.split("\x03", 1) for part in prompt[1:].removesuffix("\x04").split(START)]
    return tuple((role, content) for role, content in parts)


def reply_to(turns: Turns) -> str:
    """What any model here says: a function of what it reads."""
    text = "\n".join(content for _, content in turns)
    last = [content for role, content in turns if role != "assistant"][-1]
    if "JSON object" in last:
        names, p = stated(text, 0.7)
        return json.dumps(dict(zip(names, p, strict=True)))
    if "How probable" in last:
        return f"{len(text) % 100}%"
    if "Answer 1:" in last:
        return "1"
    return f"test answer {hashlib.sha256(text.encode()).hexdigest()[:4]}"


@register_model("recorder")
class Recorder(LM):
    """A text model with a chat template, all of whose instances note in one list."""

    sent: ClassVar[list[Sent]] = []

    def __init__(self, **_: Any) -> None:
        super().__init__()

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        answers = []
        for request in requests:
            prompt, how = request.args
            warm = how.get("do_sample", True) and float(how.get("temperature", 0.0))
            until = how.get("until") or []
            stops = (until,) if isinstance(until, str) else tuple(until)
            turns = turns_of(prompt)
            self.sent.append(Sent(turns, stops, how.get("max_gen_toks", 256), warm or 0.0))
            answers.append(reply_to(turns))
            self.cache_hook.add_partial("generate_until", request.args, answers[-1])
        return answers

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        answers = []
        for request in requests:
            turns = turns_of(request.args[0])
            self.sent.append(Sent(turns, option=request.args[1]))
            number = int(hashlib.sha256(str((turns, request.args[1])).encode()).hexdigest()[:6], 16)
            answers.append((-1e-6 * number, False))
            self.cache_hook.add_partial("loglikelihood", request.args, answers[-1])
        return answers

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        raise NotImplementedError

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        text = "".join(f"{START}{turn['role']}\x03{turn['content']}" for turn in chat_history)
        return text + ("\x04" if add_generation_prompt else "")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return "a template"

    @property
    def tokenizer_name(self) -> str:
        return "recorder"


class RecordingApi(FakeApi):
    """A server of chats and completions that answers as `Recorder` does."""

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        text = reply_to(tuple((t["role"], t["content"]) for t in payload["messages"]))
        return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}

    def complete(self, payload: dict[str, Any]) -> dict[str, Any]:
        return {"choices": [{"index": 0, "text": reply_to((("", payload["prompt"]),))}]}

    @property
    def sent(self) -> list[Sent]:
        """What came, as `Recorder` would have noted it."""
        found = []
        for p in self.payloads:
            if "n" in p:  # (asked once, whether it gives several samples)
                continue
            turns = [(t["role"], t["content"]) for t in p.get("messages", [])]
            stops, room = p.get("stop") or [], p.get("max_tokens", p.get("max_completion_tokens"))
            known = tuple(turns) or (("", p["prompt"]),)
            stops = (stops,) if isinstance(stops, str) else tuple(stops)
            found.append(Sent(known, stops, room, p["temperature"]))
        return found
