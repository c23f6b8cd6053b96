"""`Reply`: what a base said to a prompt, with what it told of it; and `Said`, what is meant of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval_calibration.verbal.letters import Token
from lm_eval_calibration.verbal.thinking import spoken

_THOUGHT = "<think>\n{}\n</think>\n\n"


class Failed(str):
    """No answer: the base gave up on a request, and `reason` says why.

    An empty text for whoever reads answers.
    """

    reason: str

    def __new__(cls, reason: str) -> Failed:
        """An empty text with a reason."""
        found = super().__new__(cls, "")
        found.reason = reason
        return found


class Reply(str):
    """A reply, and what the base told of it.

    Attributes:
        cut: whether it ended because its room was used up.
        thinking: whether the server says that the model was thinking then.
        thought: what the model thought, where a server keeps it apart.
        tokens: its tokens, those of its thinking as well, with the likeliest in their places; where they were asked for.
    """

    cut: bool
    thinking: bool
    thought: str
    tokens: tuple[Token, ...]

    def __new__(
        cls,
        text: str,
        cut: bool = False,
        thinking: bool = False,
        thought: str = "",
        tokens: Sequence[Token] = (),
    ) -> Reply:
        """The text as far as it goes."""
        found = super().__new__(cls, text)
        found.cut, found.thinking, found.thought = cut, thinking, thought
        found.tokens = tuple(tokens)
        return found

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (str(self), *self._told())

    def _told(self) -> tuple[bool, bool, str, tuple[Token, ...]]:
        return self.cut, self.thinking, self.thought, self.tokens

    def saying(self, text: str) -> Reply:
        """The same of another text."""
        return Reply(text, *self._told())

    def as_kept(self) -> dict[str, Any]:
        """As JSON, from which `of_kept` makes it again."""
        told = {"cut": self.cut, "thinking": self.thinking, "thought": self.thought}
        tokens = [[t.text, [list(pair) for pair in t.top], list(t.scores)] for t in self.tokens]
        return {"text": str(self), **told, "tokens": tokens}

    @classmethod
    def of_kept(cls, kept: Mapping[str, Any]) -> Reply | None:
        """Of `as_kept`, or as an older release kept one that was cut; `None` if it is neither."""
        if kept.keys() == {"cut", "thinking"} and isinstance(kept["cut"], str):
            return cls(kept["cut"], True, bool(kept["thinking"]))
        if kept.keys() != {"text", "cut", "thinking", "thought", "tokens"}:
            return None
        if not isinstance(kept["text"], str) or not isinstance(kept["thought"], str):
            return None
        try:
            tokens = [
                Token(str(text), tuple((str(t), float(p)) for t, p in top), _floats(*scores))
                for text, top, *scores in kept["tokens"]  # (older releases kept no scores)
            ]
        except (TypeError, ValueError):
            return None
        told = bool(kept["cut"]), bool(kept["thinking"]), kept["thought"]
        return cls(kept["text"], *told, tokens)


def _floats(values: Sequence[Any] = ()) -> tuple[float, ...]:
    return tuple(map(float, values))


class Said(str):
    """What a reply says, without the thinking before it.

    Attributes:
        reply: as it came.
        opened: whether its prompt ended within a block of thinking.
        cut: whether it ended because its room was used up.
        thinking: whether it was thinking when it ended.
        begun: whether it says anything, or never thought.
    """

    reply: str
    opened: bool
    cut: bool
    thinking: bool
    begun: bool

    def __new__(cls, reply: str, opened: bool = False) -> Said:
        """Of a reply as it came."""
        told = spoken(str(reply), opened)
        found = super().__new__(cls, told.text)
        found.reply, found.opened = reply, opened
        found.cut = bool(getattr(reply, "cut", False))
        found.thinking = told.unfinished or bool(getattr(reply, "thinking", False))
        found.begun = bool(told.text.strip()) or not told.thought
        return found

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (self.reply, self.opened)

    @property
    def tokens(self) -> tuple[Token, ...]:
        """Those of the reply, where they are known."""
        found: tuple[Token, ...] = getattr(self.reply, "tokens", ())
        return found


def raw(reply: str) -> str:
    """The whole reply, thinking and all."""
    given = reply.reply if isinstance(reply, Said) else reply
    thought = given.thought if isinstance(given, Reply) else ""
    return (_THOUGHT.format(thought) if thought else "") + str(given)


def whole(reply: str) -> str:
    """What a reply says, without the word in which it was cut."""
    cut = isinstance(reply, Said) and reply.cut
    return re.sub(r"\S+\Z", "", reply) if cut else str(reply)
