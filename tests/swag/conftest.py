"""A tiny model, and questions that it can learn: the right option follows from the first token."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from lm_eval_calibration.scoring.sequences import Request
from lm_eval_calibration.swag import PRESETS, SwagSettings
from lm_eval_calibration.swag.questions import OptionQuestion


@pytest.fixture(scope="session")
def quick() -> SwagSettings:
    """A training of 40 steps with 9 snapshots."""
    return replace(
        PRESETS["default"],
        batch_size=4,
        epochs=2,
        swag_epochs=3,
        snapshots_per_epoch=3,
        rank=4,
        learning_rate=1e-2,
    )


@pytest.fixture(scope="session")
def fresh() -> Callable[..., LlamaForCausalLM]:
    """The same random model each time."""

    def make(dtype: torch.dtype = torch.float32) -> LlamaForCausalLM:
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
        )  # fmt: skip
        return LlamaForCausalLM(config).eval().to(dtype)

    return make


def questions(count: int, seed: int) -> list[OptionQuestion]:
    """Of three or four options of two tokens each, some with two right ones."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        first = draw.randrange(1, 9)
        context = [first, *(draw.randrange(10, 30) for _ in range(draw.randrange(2, 9)))]
        options = [Request(context, [30 + k, first]) for k in range(3 + number % 2)]
        right = first % len(options)
        found.append(OptionQuestion(options, (right,) if number % 5 else (right, (right + 1) % 3)))
    return found


@pytest.fixture(scope="session")
def learn() -> list[OptionQuestion]:
    """Documents to train on."""
    return questions(30, 0)


@pytest.fixture(scope="session")
def judge() -> list[OptionQuestion]:
    """Documents to validate on."""
    return questions(12, 1)
