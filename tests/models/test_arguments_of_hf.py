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


def test_the_log_softmax_is_as_precise_as_asked(tiny_model: Path) -> None:
    fast = FastHFLM(pretrained=str(tiny_model), device="cpu", softmax_dtype="float64")
    seen: list[torch.dtype] = []
    fast.observed(asked(), lambda found: seen.append(found.loglikelihood.dtype), True)
    assert set(seen) == {torch.float64}
