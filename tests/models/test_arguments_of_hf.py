"""Every argument of `hf` is honoured by `hf-fast`, through its own passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.models.huggingface import HFLM
from requesting import requested

from lm_eval_calibration.models.hf_fast import FastHFLM

OPTIONS: list[dict[str, Any]] = [
    {"softmax_dtype": "float64"},
    {"mixed_precision_dtype": "bfloat16"},
    {"parallelize": True},
    {"attn_implementation": "eager"},
    {"attn_implementation": "flex_attention"},  # (with a mask of ours the process would abort)
    {"dtype": "bfloat16"},
    {"max_length": 24},
    {"prefix_token_id": 5, "add_bos_token": True},
]


def asked() -> list[Any]:
    found = []
    for number in range(6):
        context = f"What is item {number // 3}? " * (1 + number)
        found += [(context.strip(), f" {option}") for option in ("this", "that", "no item")]
    return [requested("loglikelihood", pair, i) for i, pair in enumerate([("", "this"), *found])]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # (of torch, in flex_attention)
@pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda o: ",".join(f"{k}={v}" for k, v in o.items())
)
def test_it_is_hfs(tiny_model: Path, options: dict[str, Any]) -> None:
    given = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32"} | options
    fast, slow = FastHFLM(**given), HFLM(**given)
    found = fast.loglikelihood(asked(), disable_tqdm=True)
    expected = slow.loglikelihood(asked(), disable_tqdm=True)
    half = "bfloat16" in options.values()
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[0] == pytest.approx(theirs[0], abs=0.5 if half else 1e-4)
    assert fast.trust.reason is None
    ours, theirs = (lm.generate_until(texts(), disable_tqdm=True) for lm in (fast, slow))
    alike = sum(a == b for a, b in zip(ours, theirs, strict=True))
    assert alike == len(theirs) or (half and alike), (ours, theirs)
    assert any(way.reason is None for way in fast._generation.ways[:2])


def texts() -> list[Any]:
    settings = {"until": ["@"], "max_gen_toks": 8}
    prompts = [f"What is item {n // 2}? " * (1 + n % 4) for n in range(6)]
    return [requested("generate_until", (prompt, settings), i) for i, prompt in enumerate(prompts)]


def test_adapters_write(tiny_model: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(tiny_model)
    torch.manual_seed(0)
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    get_peft_model(plain, lora).save_pretrained(tmp_path)
    given = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32"}
    fast, slow = (kind(**given, peft=str(tmp_path)) for kind in (FastHFLM, HFLM))
    expected = slow.generate_until(texts(), disable_tqdm=True)
    assert fast.generate_until(texts(), disable_tqdm=True) == expected
    assert fast._generation.ways[0].reason is None
    assert HFLM(**given).generate_until(texts(), disable_tqdm=True) != expected


@pytest.mark.filterwarnings("ignore")  # (of torch)
def test_quantised_weights_write_or_are_left_to_hf(tiny_model: Path) -> None:
    """Activations are quantised by batch here, so that rows need not be those of batches of one."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    plain = AutoModelForCausalLM.from_pretrained(tiny_model, dtype="float32").eval()
    model = torch.ao.quantization.quantize_dynamic(plain, {torch.nn.Linear}, dtype=torch.qint8)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    options = {"pretrained": model, "tokenizer": tokenizer, "device": "cpu", "backend": "causal"}
    fast, slow = (kind(**options) for kind in (FastHFLM, HFLM))
    found, expected = (lm.generate_until(texts(), disable_tqdm=True) for lm in (fast, slow))
    assert found == expected or fast._generation.reason is None


def test_the_log_softmax_is_as_precise_as_asked(tiny_model: Path) -> None:
    fast = FastHFLM(pretrained=str(tiny_model), device="cpu", softmax_dtype="float64")
    seen: list[torch.dtype] = []
    fast.observed(asked(), lambda found: seen.append(found.loglikelihood.dtype), True)
    assert set(seen) == {torch.float64}
