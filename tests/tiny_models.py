"""Tiny random models of several architectures."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
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
        "mamba2": lambda: t.Mamba2ForCausalLM(
            t.Mamba2Config(
                vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, num_heads=8, head_dim=8,
                state_size=8, n_groups=1, chunk_size=8,
            )
        ),
        "bamba": lambda: t.BambaForCausalLM(
            t.BambaConfig(
                **SMALL, mamba_n_heads=8, mamba_d_head=8, mamba_n_groups=1, mamba_d_state=8,
                mamba_chunk_size=8, attn_layer_indices=[1], pad_token_id=0,
            )
        ),
        "falcon_h1": lambda: t.FalconH1ForCausalLM(
            t.FalconH1Config(
                **SMALL, mamba_d_ssm=64, mamba_n_heads=8, mamba_d_head=8, mamba_n_groups=1,
                mamba_d_state=8, mamba_chunk_size=8, lm_head_multiplier=0.2, pad_token_id=0,
            )
        ),
        "qwen3_next": lambda: t.Qwen3NextForCausalLM(
            t.Qwen3NextConfig(
                **{**SMALL, "num_hidden_layers": 2}, head_dim=8, linear_num_key_heads=2,
                linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8,
                num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
                shared_expert_intermediate_size=16, layer_types=["linear_attention", "full_attention"],
            )
        ),
        "lfm2": lambda: t.Lfm2ForCausalLM(
            t.Lfm2Config(
                **{**SMALL, "num_hidden_layers": 2}, block_auto_adjust_ff_dim=False,
                layer_types=["conv", "full_attention"],
            )
        ),
        "cohere": lambda: t.CohereForCausalLM(t.CohereConfig(**SMALL, logit_scale=0.3)),
        "gemma2": lambda: t.Gemma2ForCausalLM(
            t.Gemma2Config(**SMALL, head_dim=8, final_logit_softcapping=5.0)
        ),
        "granite": lambda: t.GraniteForCausalLM(t.GraniteConfig(**SMALL, logits_scaling=4.0)),
        "t5": lambda: t.T5ForConditionalGeneration(
            t.T5Config(
                vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4,
                decoder_start_token_id=0, pad_token_id=0,
            )
        ),
    }  # fmt: skip
    torch.manual_seed(0)
    return makers[name]().eval()


RECURRENT = ("bamba", "falcon_h1", "lfm2", "mamba", "mamba2", "qwen3_next")


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], Any]:
    """Models by architecture, each made once."""
    made: dict[str, Any] = {}

    def model(name: str) -> Any:
        if name in RECURRENT and int(version("transformers").partition(".")[0]) < 5:
            pytest.skip(
                "recurrent caches are those of transformers 5; before, `hf-fast` leaves them to `hf`"
            )
        if name not in made:
            made[name] = make(name)
        return made[name]

    return model
