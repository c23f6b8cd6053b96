"""The template of a tokenizer, by the name that 0.5.0.dev1 of the harness looks for."""

from __future__ import annotations

from vllm.renderers.hf import resolve_chat_template as resolve_hf_chat_template

__all__ = ["resolve_hf_chat_template"]
