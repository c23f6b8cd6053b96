"""What a reply says, beside what the model thought before it."""

from __future__ import annotations

import re
from typing import NamedTuple

BLOCKS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
)
"""How a block of thinking begins and ends, with the model families at hand."""
CHANNEL, FINAL = "<|channel|>", "<|channel|>final<|message|>"
"""gpt-oss: what is meant for the reader is the channel `final`."""
_CHANNEL_ENDS = re.compile(r"<\|(?:end|return|start|channel)\|>.*", re.DOTALL)
_BARE_FINAL, _BARE_THOUGHT = "assistantfinal", re.compile(r"analysis(?=[A-Z])")
"""The same where special tokens were left out of the text."""


class Spoken(NamedTuple):
    """A reply without its thinking.

    Attributes:
        text: what is meant for the reader.
        thought: whether there was thinking.
        unfinished: whether it went on when the reply ended.
    """

    text: str
    thought: bool = False
    unfinished: bool = False


def spoken(reply: str, opened: bool = False) -> Spoken:
    """What a reply says.

    Args:
        reply: as the model gave it.
        opened: whether its prompt ended within a block of thinking.

    >>> spoken("<think>7? No.</think>8")
    Spoken(text='8', thought=True, unfinished=False)
    >>> spoken('<think>{"a": 1')
    Spoken(text='', thought=True, unfinished=True)
    >>> spoken("so it is 8.</think>8", opened=True).text, spoken("so it is", opened=True).text
    ('8', '')
    >>> spoken("<|channel|>analysis<|message|>7?<|end|><|start|>assistant<|channel|>final<|message|>8")
    Spoken(text='8', thought=True, unfinished=False)
    """
    if CHANNEL in reply:
        _, found, after = reply.rpartition(FINAL)
        return Spoken(_CHANNEL_ENDS.sub("", after) if found else "", True, not found)
    if _BARE_THOUGHT.match(reply):
        _, found, after = reply.rpartition(_BARE_FINAL)
        return Spoken(after if found else "", True, not found)
    lower, cut, text, thought = reply.lower(), False, reply, False
    for begin, end in BLOCKS:
        if begin.lower() in lower or end.lower() in lower:
            text, some, cut_here = _without(text, begin, end)
            thought, cut = thought or some, cut or cut_here
    if opened and not thought:
        return Spoken("", True, True)
    return Spoken(text.lstrip() if thought else text, thought, cut)


def opens(prompt: str) -> bool:
    """Whether a prompt ends within a block of thinking, as some chat templates have it.

    >>> opens("<|assistant|><think>"), opens("<think></think>"), opens("What is 7?")
    (True, False, False)
    """
    end = prompt.rstrip()[-40:].lower()
    return any(end.endswith(begin.lower()) for begin, _ in BLOCKS)


def closing(prompt: str, reply: str = "") -> str:
    r"""What ends the thinking that a prompt, or a reply to it, left open; "" where none is open.

    >>> closing("<|assistant|><think>"), closing("7?", "<think>so"), closing("7?", "<think>so</think>8")
    ('\n</think>\n\n', '\n</think>\n\n', '')
    """
    if CHANNEL in reply and FINAL not in reply:
        return f"<|end|><|start|>assistant{FINAL}"
    lower = reply.lower()
    for begin, end in BLOCKS:
        opened = prompt.rstrip().lower().endswith(begin.lower()) or begin.lower() in lower
        if opened and lower.rfind(end.lower()) <= lower.rfind(begin.lower()):
            return f"\n{end}\n\n"
    return ""


def _without(text: str, begin: str, end: str) -> tuple[str, bool, bool]:
    """The text outside of blocks, whether there were any, and whether the last is still open."""
    kept, depth, last = [], 0, 0
    marks = list(re.finditer(f"{re.escape(begin)}|{re.escape(end)}", text, re.IGNORECASE))
    for mark in marks:
        if mark.group().lower() == begin.lower():
            if not depth:
                kept.append(text[last : mark.start()])
            depth = 1
        else:
            if not depth:
                kept.clear()  # (the prompt had opened it)
            depth, last = 0, mark.end()
    return "".join(kept) + ("" if depth else text[last:]), bool(marks), bool(depth)
