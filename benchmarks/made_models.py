"""Models of random weights and about 100 M parameters, for benchmarks of speed and agreement.

    python benchmarks/made_models.py granite-hybrid out/granite-hybrid --tokenizer <SmolLM2-135M-Instruct>

Speed does not depend on what was learned; that two ways of computing agree does not either.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

COMMON = {
    "hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3,
    "max_position_embeddings": 8192, "tie_word_embeddings": True,
}  # fmt: skip
EVERY = 4
"""Of hybrids one layer in so many attends."""


def _layers(count: int, other: str, attention: str = "full_attention") -> list[str]:
    return [attention if (i + 1) % EVERY == 0 else other for i in range(count)]


def llama(vocabulary: int) -> Any:
    """The shape of SmolLM2-135M."""
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=vocabulary, num_hidden_layers=30, intermediate_size=1536, **COMMON
    )


def granite_hybrid(vocabulary: int) -> Any:
    """Granite 4's kind: Mamba-2 and attention, no positions."""
    from transformers import GraniteMoeHybridConfig

    return GraniteMoeHybridConfig(
        vocab_size=vocabulary, num_hidden_layers=24, intermediate_size=1536,
        shared_intermediate_size=1536, num_local_experts=0, position_embedding_type="nope",
        layer_types=_layers(24, "mamba", "attention"), mamba_n_heads=24, mamba_d_head=48,
        mamba_d_state=64, mamba_n_groups=1, mamba_chunk_size=256, **COMMON,
    )  # fmt: skip


def qwen3_5(vocabulary: int) -> Any:
    """Qwen3.5's kind: gated delta rule and attention."""
    from transformers import Qwen3_5TextConfig

    return Qwen3_5TextConfig(
        vocab_size=vocabulary, num_hidden_layers=24, intermediate_size=1536, head_dim=64,
        linear_num_key_heads=8, linear_num_value_heads=16, linear_key_head_dim=64,
        linear_value_head_dim=64, layer_types=_layers(24, "linear_attention"), **COMMON,
    )  # fmt: skip


def lfm2(vocabulary: int) -> Any:
    """LFM2's kind: short convolutions and attention."""
    from transformers import Lfm2Config

    return Lfm2Config(
        vocab_size=vocabulary, num_hidden_layers=24, intermediate_size=1536,
        block_auto_adjust_ff_dim=False, layer_types=_layers(24, "conv"), **COMMON,
    )  # fmt: skip


KINDS = {"llama": llama, "granite-hybrid": granite_hybrid, "qwen3.5": qwen3_5, "lfm2": lfm2}


def make(kind: str, folder: Path, tokenizer: str) -> int:
    """Write a checkpoint; returns how many parameters it has."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(tokenizer)
    config = KINDS[kind](len(words))
    config.bos_token_id, config.eos_token_id, config.pad_token_id = (
        words.bos_token_id, words.eos_token_id, words.pad_token_id
    )  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():  # so that what is attended to matters
        if parameter.ndim == 2:
            parameter.data *= 3
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return int(sum(p.numel() for p in model.parameters()))


def main(argv: Sequence[str] | None = None) -> None:
    """Make one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", required=True, help="folder of a checkpoint")
    options = parser.parse_args(argv)
    count = make(options.kind, options.folder, options.tokenizer)
    print(f"{options.folder}: {count / 1e6:.0f} M parameters")


if __name__ == "__main__":
    main()
