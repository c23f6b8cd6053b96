"""Where the beginning of a prompt ends, as its own tokens show: examples, or a text, before a question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lm_eval_calibration.messages import logger
from lm_eval_calibration.scoring.passages import Beginning

log = logger(f"lm_eval.{__name__}")

TURNS = ("#1", "#2", "#3")
"""What is said in a conversation of which the template shows how a question begins."""


def beginning_for(tokenizer: Any) -> Beginning:
    """The end of a prompt's last blank line, or of what begins its last question of a conversation: the later one.

    Args:
        tokenizer: of transformers.
    """
    of_paragraph = ends_paragraph(lambda token: str(tokenizer.decode([token])))
    of_turn = ends_turn(_question(tokenizer))
    return lambda context: max(of_paragraph(context), of_turn(context))


def ends_paragraph(decode: Callable[[int], str]) -> Beginning:
    """Where the last blank line of a context ends; 0 if it has none.

    Args:
        decode: a token's text.
    """
    known: dict[int, str] = {}

    def piece(token: int) -> str:
        if token not in known:
            known[token] = decode(token)
        return known[token]

    def beginning(context: Sequence[int]) -> int:
        for end in range(len(context) - 1, 0, -1):
            last = piece(int(context[end - 1])).rstrip(" ")
            if last.endswith("\n\n"):
                return end
            if last == "\n" and end > 1 and piece(int(context[end - 2])).endswith("\n"):
                return end
        return 0

    return beginning


def ends_turn(marks: Sequence[int]) -> Beginning:
    """Where the last of some tokens in a row ends; 0 if they are not there.

    >>> ends_turn([1, 2])([0, 1, 2, 7, 1, 2, 8])
    6

    Args:
        marks: the tokens; with none, no context has a beginning.
    """
    count = len(marks)

    def beginning(context: Sequence[int]) -> int:
        for end in range(len(context) - 1, count - 1, -1):
            if context[end - 1] == marks[-1] and list(context[end - count : end]) == list(marks):
                return end
        return 0

    return beginning if count else lambda context: 0


def _question(tokenizer: Any) -> list[int]:
    """The tokens that stand between an answer and the next question of a conversation; none without a template."""
    if not getattr(tokenizer, "chat_template", None):
        return []
    roles = ("user", "assistant", "user")
    turns = [{"role": r, "content": text} for r, text in zip(roles, TURNS, strict=True)]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
        between = text.split(TURNS[1])[1].split(TURNS[2])[0].rstrip()
        return list(tokenizer.encode(between, add_special_tokens=False))
    except Exception as error:  # noqa: BLE001 - whatever a template stumbles over
        log.debug("No conversation that shows where a question begins: %r", error)
        return []
