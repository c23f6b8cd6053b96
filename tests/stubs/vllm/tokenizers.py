"""Tokenizers by name."""

from __future__ import annotations

from typing import Any

from transformers import AutoTokenizer


def get_tokenizer(
    name: str,
    *,
    tokenizer_mode: str = "auto",
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> Any:
    """As transformers has it."""
    return AutoTokenizer.from_pretrained(name)
