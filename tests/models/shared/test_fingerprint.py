"""Which model it is, by its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from peft import LoraConfig, inject_adapter_in_model
from transformers import AutoConfig, AutoModelForCausalLM

from lm_eval_calibration.calibrators.held_out import same_weights
from lm_eval_calibration.models.shared.fingerprint import fingerprint, name_of, weights_of

PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)


def loaded(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_a_checkpoint_in_half_precision_is_one_model(
    half: torch.dtype, tiny_model: Path, tmp_path: Path
) -> None:
    loaded(tiny_model, half).save_pretrained(tmp_path)
    prints = [fingerprint(loaded(tmp_path, dtype)) for dtype in PRECISIONS]
    assert all(same_weights(one, other) for one in prints for other in prints)


def test_a_checkpoint_in_float32_is_the_same_in_half(tiny_model: Path) -> None:
    whole, *halves = (fingerprint(loaded(tiny_model, dtype)) for dtype in PRECISIONS)
    assert all(same_weights(whole, half) for half in halves)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_a_small_step_of_training_makes_another_model(dtype: torch.dtype, tiny_model: Path) -> None:
    before, model = fingerprint(loaded(tiny_model)), loaded(tiny_model)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1e-4 * torch.randn_like(parameter).sign()
    assert not same_weights(before, fingerprint(model.to(dtype)))


def test_an_adapter_counts_and_its_weights_do(tiny_model: Path) -> None:
    torch.manual_seed(0)
    config = LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    prints = [fingerprint(loaded(tiny_model))]
    prints += [fingerprint(inject_adapter_in_model(config, loaded(tiny_model))) for _ in range(2)]
    assert not any(same_weights(a, b) for a in prints for b in prints if a is not b)


def test_weights_that_are_buffers_count_and_passing_ones_do_not() -> None:
    model = torch.nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.zero_(), model.bias.zero_()
    model.register_buffer("qweight", torch.arange(32, dtype=torch.int32))
    before = fingerprint(model)
    model.register_buffer("mask", torch.ones(3), persistent=False)
    assert fingerprint(model) == before
    model.qweight += 1
    assert not same_weights(before, fingerprint(model))


def test_weights_of_any_kind_are_looked_at() -> None:
    model = torch.nn.Module()
    model.register_buffer("complex", torch.ones(3, dtype=torch.complex64))
    model.register_buffer("eight", torch.ones(3, dtype=torch.uint8))
    model.register_buffer("truth", torch.ones(2, dtype=torch.bool))
    model.register_buffer("none", torch.empty(0))
    model.register_buffer("large", torch.tensor(1e30))
    model.register_buffer("turned", torch.rand(4, 5).T)
    if hasattr(torch, "float8_e4m3fn"):
        model.register_buffer("fp8", torch.ones(40).to(torch.float8_e4m3fn))
    assert len(fingerprint(model)) == 129


def test_weights_that_are_not_in_memory_are_not_known(tiny_model: Path) -> None:
    config = AutoConfig.from_pretrained(tiny_model)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    assert fingerprint(model) == ""
    assert not same_weights(fingerprint(loaded(tiny_model)), "")


class _Server:
    model = "org/model"


class _Engine:
    def __init__(self) -> None:
        self.model_args = {"model": "org/model", "revision": "step1"}

        self.model = object()


def test_names_and_what_has_no_weights(tiny_model: Path, tiny_lm: HFLM) -> None:
    assert (name_of(_Server()), weights_of(_Server())) == ("org/model", "")
    assert (name_of(_Engine()), weights_of(_Engine())) == ("org/model@step1", "")
    assert (name_of(object()), weights_of(object())) == ("", "")
    assert name_of(tiny_lm) == str(tiny_model)
    assert weights_of(tiny_lm) == fingerprint(tiny_lm.model)
    given = HFLM(pretrained=loaded(tiny_model), tokenizer=tiny_lm.tokenizer)
    assert name_of(given) == str(tiny_model)
