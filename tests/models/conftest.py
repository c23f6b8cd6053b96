"""Models that several tests of wrappers share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch


@pytest.fixture(scope="session")
def tiny_t5(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer T5 with the tiny model's byte tokenizer."""
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    torch.manual_seed(0)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=len(tokenizer), d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4,
            decoder_start_token_id=0, pad_token_id=1, eos_token_id=1, initializer_factor=1.0,
        )
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tiny_t5")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
