"""Where a text ends, by the strings that a task names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

MORE = 2
"""Tokens that are looked at beyond those of a stop string: a text may be parted otherwise than it is."""


class Stops:
    """Stop strings, looked for in a text's last tokens alone, in as many of them as the harness looks at.

    Args:
        tokenizer: of transformers.
        strings: any of which ends a text.
    """

    def __init__(self, tokenizer: Any, strings: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.reach = {
            string: len(tokenizer.encode(string, add_special_tokens=False)) + MORE
            for string in strings
        }
        self.longest = max(self.reach.values(), default=0)

    @classmethod
    def none(cls) -> Stops:
        """No strings."""
        return cls(None, [])

    def found(self, texts: Sequence[Sequence[int]]) -> list[bool]:
        """(B,) whether one of them stands at the end of each text's new tokens."""
        if not self.reach:
            return [False] * len(texts)
        ends = self.tokenizer.batch_decode([list(text[-self.longest :]) for text in texts])
        return [self._in(text, end) for text, end in zip(texts, ends, strict=True)]

    def _in(self, text: Sequence[int], end: str) -> bool:
        """Whether the harness finds one: few tokens are decoded otherwise than with others before them."""
        return any(
            string in self.tokenizer.decode(list(text[-count:]))
            for string, count in self.reach.items()
            if string in end
        )
