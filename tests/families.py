"""Tiny random models of every text-generating family of the installed transformers."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import torch
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
)

WIDTH, LONGEST, WINDOW = 64, 1024, 16
MOST = 20_000_000
"""Parameters of a model that counts as small."""

SIZES: dict[str, Any] = {
    # the usual names of widths, depths and heads
    **dict.fromkeys(["hidden_size", "n_embd", "d_model", "embedding_size", "emb_dim", "word_embed_proj_dim",
                     "lru_width"], WIDTH),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers"], 4),
    **dict.fromkeys(["decoder_layers", "encoder_layers"], 2),
    **dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads",
                     "decoder_attention_heads", "encoder_attention_heads", "swa_num_attention_heads"], 4),
    **dict.fromkeys(["num_key_value_heads", "swa_num_key_value_heads"], 2),
    **dict.fromkeys(["head_dim", "d_head", "dim_head", "kv_channels", "swa_head_dim", "attention_head_dim"], 16),
    **dict.fromkeys(["intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "decoder_ffn_dim",
                     "encoder_ffn_dim", "d_inner", "dim_ff", "dff", "intermediate_size_mlp",
                     "dense_intermediate_size", "prefix_dense_intermediate_size"], 96),
    **dict.fromkeys(["max_position_embeddings", "n_positions", "max_seq_len", "context_length",
                     "original_max_position_embeddings"], LONGEST),
    "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "type_vocab_size": 1, "rotary_dim": 8,
    # experts
    **dict.fromkeys(["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"], 8),
    **dict.fromkeys(["num_experts_per_tok", "moe_topk", "moe_k", "top_k_experts", "zero_expert_num"], 2),
    **dict.fromkeys(["n_shared_experts", "n_group", "topk_group", "moe_num_shared_experts",
                     "num_shared_experts", "first_k_dense_replace", "num_dense_layers"], 1),
    **dict.fromkeys(["moe_intermediate_size", "shared_expert_intermediate_size", "shared_intermediate_size",
                     "expert_ffn_hidden_size", "moe_shared_expert_intermediate_size"], 32),
    "router_hidden_size": 16,
    # latent attention and its indexers
    "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 16, "qk_rope_head_dim": 8, "v_head_dim": 16,
    "index_n_heads": 2, "index_head_dim": 16, "index_topk": 4096, "o_groups": 2, "o_lora_rank": 16,
    # recurrences
    "linear_key_head_dim": 16, "linear_value_head_dim": 16, "linear_num_key_heads": 2,
    "linear_num_value_heads": 4, "linear_head_dim": 16, "linear_num_heads": 4, "mamba_n_heads": 8,
    "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_d_state": 8, "mamba_chunk_size": 16, "mamba_num_heads": 8,
    "mamba_head_dim": 16, "ssm_state_size": 8, "n_groups": 1, "state_size": 8, "chunk_size": 16,
    "n_mamba_heads": 8, "mamba_ngroups": 1, "time_step_rank": 4, "mamba_dt_rank": 4, "mamba_d_ssm": 128,
    "block_size": 16, "use_mamba_kernels": False,
    # the rest
    "vocab_size_per_layer_input": None, "hidden_size_per_layer_input": 16, "laurel_rank": 8,
    **dict.fromkeys(["dropout", "attention_dropout", "activation_dropout", "resid_pdrop", "embd_pdrop",
                     "attn_pdrop"], 0.0),
}  # fmt: skip
_SLIDING = ["sliding_attention"] * 3 + ["full_attention"]
_TURNS = ["linear_attention", "full_attention"] * 2
OWN: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "dory": {"n_input_layers": 1, "n_recurrent_layers": 2, "n_output_layers": 1},
    "falcon": {"num_kv_heads": 2, "new_decoder_architecture": True, "alibi": False},
    "gemma3_text": {"layer_types": _SLIDING},
    "gemma3n_text": {
        "num_hidden_layers": 5, "num_kv_shared_layers": 2, "altup_num_inputs": 2,
        "activation_sparsity_pattern": [0.0] * 5, "layer_types": ["sliding_attention", "full_attention", *_SLIDING[1:]],
    },
    "gemma4_text": {
        "layer_types": _SLIDING, "num_experts": None, "top_k_experts": None,
        "moe_intermediate_size": None, "global_head_dim": 16, "num_global_key_value_heads": 2,
    },
    "gpt_neo": {"attention_types": [[["global", "local"], 2]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "jamba": {"attn_layer_period": 4, "attn_layer_offset": 1},
    "kimi_linear": {"num_key_value_heads": 4, "layer_types": _TURNS},
    "lfm2": {"layer_types": ["conv", "full_attention"] * 2, "block_auto_adjust_ff_dim": False},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"] * 2},
    "llama4_text": {"moe_layers": [1, 3], "attention_chunk_size": WINDOW},
    "mamba2": {"num_heads": 8, "head_dim": 16, "expand": 2},
    "minimax": {"layer_types": _TURNS},
    "nemotron_h": {"layers_block_type": ["mamba", "attention", "mamba", "moe"]},
    "opt": {"activation_function": "relu"},
    "qwen3_5_text": {"layer_types": _TURNS},
    "qwen3_next": {"layer_types": _TURNS},
    "recurrent_gemma": {"num_key_value_heads": 1},
    "zamba2": {"layers_block_type": ["mamba", "hybrid"] * 2, "adapter_rank": 8},
    **{
        kind: {"num_key_value_heads": 4}
        for kind in ("deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "minicpm3", "youtu")
    },
}  # fmt: skip
"""What a family needs beyond sizes."""
SENSE = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
    "image_size": 28, "patch_size": 14,
}  # fmt: skip
"""Of what sees or hears, beside the text."""
NO_TEXT = {
    "blt", "emu3", "fuyu", "gemma3n", "gemma4_assistant", "gemma4_unified_assistant", "git", "got_ocr2",
    "moss_transcribe_diarize", "musicgen", "musicgen_melody", "phi4_multimodal", "reformer",
}  # fmt: skip
"""Of images or sounds, parts of other models, or too large at their least."""
CAUSAL = sorted(set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - NO_TEXT)
SEQ2SEQ = sorted(MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES)


def made(kind: str, vocabulary: int, *, seq2seq: bool = False) -> Any:
    """A model of a family, whose windows are of 16 tokens where it has any.

    Raises:
        Exception: it cannot be built so small.
    """
    config = CONFIG_MAPPING[kind](**_settings(CONFIG_MAPPING[kind], kind, vocabulary))
    if seq2seq and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 0
    mapping = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING if seq2seq else MODEL_FOR_CAUSAL_LM_MAPPING
    found = mapping[type(config)]
    cls = found[0] if isinstance(found, list | tuple) else found
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in cls(copy.deepcopy(config)).parameters())
    if count > MOST:
        raise ValueError(f"{count:,} parameters at the least that is known here")
    torch.manual_seed(0)
    model = cls(config).float().eval()
    _enliven(model)
    return model


def _settings(cls: Any, kind: str, vocabulary: int) -> dict[str, Any]:
    """What its configuration takes of the sizes, by its own names; so its text's, and others' parts."""
    known = {f.name for f in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    other = dict(getattr(cls, "attribute_map", {}))
    wanted = {**SIZES, "vocab_size": vocabulary, "vocab_size_per_layer_input": vocabulary}
    wanted |= {"sliding_window": WINDOW, "window_size": WINDOW} | OWN.get(kind, {})
    chosen = {other.get(name, name): value for name, value in wanted.items()}
    chosen |= {name: value for name, value in wanted.items() if name not in other}
    decoder = {"is_decoder": True} if "is_decoder" in known else {}
    found = {name: value for name, value in (chosen | decoder).items() if name in known}
    for name, part in (getattr(cls, "sub_configs", None) or {}).items():
        inner = getattr(part, "model_type", "") or f"{kind}_text"
        if name == "text_config" and inner in CONFIG_MAPPING:
            found[name] = {
                **_settings(CONFIG_MAPPING[inner], inner, vocabulary), "model_type": inner
            }  # fmt: skip
        elif dataclasses.is_dataclass(part):
            fields = {f.name for f in dataclasses.fields(part)}
            found[name] = {n: v for n, v in SENSE.items() if n in fields}
    return found


@torch.no_grad()
def _enliven(model: Any) -> None:
    """Weights under which attention matters: the usual ones leave logits nearly the same."""
    draw = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        last = name.rsplit(".", 1)[-1]
        if parameter.ndim >= 2 and "conv" not in name and last not in ("A_log", "D"):
            scale = 0.7 if "embed" in name else 1.3 / math.sqrt(min(parameter.shape[-2:]))
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * scale)
