"""LoRA is put on something sensible in every family, and what is put there can be trained."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import transformers

from lm_eval_calibration.swag import lora
from lm_eval_calibration.swag.settings import SwagSettings
from lm_eval_calibration.swag.targets import targets_of

SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 48, "max_position_embeddings": 64, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
EXPERTS: dict[str, Any] = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "num_local_experts": 4,
}  # fmt: skip
LATENT: dict[str, Any] = {
    "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "q_lora_rank": 8,
    "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8, "n_group": 1,
    "topk_group": 1, "num_key_value_heads": 4, "first_k_dense_replace": 1,
}  # fmt: skip
FAMILIES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "phi3": ({}, {"qkv_proj"}),
    "olmo2": ({}, {"q_proj", "v_proj"}),
    "granite": ({}, {"q_proj", "v_proj"}),
    "qwen3_moe": (EXPERTS, {"q_proj", "v_proj"}),
    "deepseek_v3": (LATENT, {"q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj"}),
    "smollm3": ({}, {"q_proj", "v_proj"}),
    "ernie4_5": ({}, {"q_proj", "v_proj"}),
}


def made(kind: str, changes: dict[str, Any]) -> Any:
    config = transformers.AutoConfig.for_model(kind, **{**SMALL, **changes})
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(config)


@pytest.mark.parametrize("kind", FAMILIES)
def test_attention_is_found(kind: str) -> None:
    changes, expected = FAMILIES[kind]
    model = made(kind, changes)
    found = targets_of(model)
    assert set(found.names or ()) == expected
    adapted = lora.adapt(model, replace(SwagSettings(), lora_rank=2), seed=0)
    tokens = torch.arange(3, 12)[None]
    adapted(input_ids=tokens, labels=tokens).loss.backward()
    trained = lora.parameters(adapted)
    assert trained and all(p.grad is not None for p in trained.values())


def test_pefts_table_comes_first() -> None:
    assert targets_of(made("llama", {})).names == ["q_proj", "v_proj"]
    assert "as peft has it for llama" in targets_of(made("llama", {})).said


def test_without_attention_linear_layers_are_adapted() -> None:
    config = transformers.MambaConfig(
        vocab_size=64, hidden_size=32, num_hidden_layers=2, state_size=4, pad_token_id=0
    )
    model = transformers.MambaForCausalLM(config)
    assert targets_of(model).names == ["in_proj", "x_proj"]
    assert lora.parameters(lora.adapt(model, replace(SwagSettings(), lora_rank=2), seed=0))


def test_a_model_that_also_sees_is_adapted_where_it_reads() -> None:
    text = {**SMALL, "head_dim": 8, "num_hidden_layers": 2}
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 4,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=1, image_token_index=3,
        boi_token_index=4, eoi_token_index=5,
    )  # fmt: skip
    model = transformers.Gemma3ForConditionalGeneration(config)
    names = targets_of(model).names
    assert names and not [name for name in names if "vision" in name]
    adapted = lora.adapt(model, replace(SwagSettings(), lora_rank=2), seed=0)
    assert not [name for name in lora.parameters(adapted) if "vision" in name]
