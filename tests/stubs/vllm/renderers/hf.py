"""The template of a tokenizer."""

from __future__ import annotations

from typing import Any


def resolve_chat_template(
    tokenizer: Any, chat_template: str | None, tools: Any, *, model_config: Any
) -> str | None:
    """The one that is given, or the tokenizer's own."""
    return chat_template or tokenizer.chat_template
