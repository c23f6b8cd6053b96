"""Tiny random models of several architectures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

VOCABULARY = 50
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
    "initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
MIXED = ["sliding_attention", "full_attention", "sliding_attention"]


def make(name: str) -> Any:
    """The model, with random weights that are the same each time."""
    import torch
    import transformers as t

    makers: dict[str, Callable[[], Any]] = {
        "llama": lambda: t.LlamaForCausalLM(t.LlamaConfig(**SMALL)),
        "qwen2": lambda: t.Qwen2ForCausalLM(t.Qwen2Config(**SMALL)),
        "gpt2": lambda: t.GPT2LMHeadModel(
            t.GPT2Config(
                vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=256,
                initializer_range=0.3, bos_token_id=0, eos_token_id=1,
            )
        ),
        "gemma3": lambda: t.Gemma3ForCausalLM(
            t.Gemma3TextConfig(**SMALL, head_dim=8, sliding_window=8, layer_types=MIXED)
        ),
        "mistral": lambda: t.MistralForCausalLM(t.MistralConfig(**SMALL, sliding_window=8)),
        "bloom": lambda: t.BloomForCausalLM(
            t.BloomConfig(vocab_size=VOCABULARY, hidden_size=32, n_layer=2, n_head=4)
        ),
        "mamba": lambda: t.MambaForCausalLM(
            t.MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2)
        ),
    }  # fmt: skip
    torch.manual_seed(0)
    return makers[name]().eval()


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], Any]:
    """Models by architecture, each made once."""
    made: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name not in made:
            made[name] = make(name)
        return made[name]

    return model
