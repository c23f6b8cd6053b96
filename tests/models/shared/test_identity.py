"""A cache is shared by runs, and never by models or seeds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import scripted_base  # noqa: F401
import torch
from fake_api import FakeApi
from lm_eval import simple_evaluate
from transformers import AutoModelForCausalLM, AutoTokenizer

from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.identity import identity

SAMPLED: dict[str, Any] = {
    "arguments": {"base": "hf-fast", "candidates": 2}, "task": "calib_toy_generate",
    "gen_kwargs": "max_gen_toks=4",
}  # fmt: skip


@pytest.fixture(scope="module")
def other_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture and tokenizer, and other weights."""
    folder = tmp_path_factory.mktemp("other")
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


def evaluate(model: str, folder: Path, tasks: Any, cache: Path | None, **more: Any) -> Any:
    arguments = {"pretrained": str(folder), "dtype": "float32", **more.pop("arguments", {})}
    results = simple_evaluate(
        model=model, model_args=arguments, device="cpu", tasks=[more.pop("task", "calib_toy_norm")],
        task_manager=tasks, bootstrap_iters=0, limit=6, use_cache=cache and str(cache), **more,
    )  # fmt: skip
    (samples,) = results["samples"].values()
    return [(s["doc_id"], str(s["filtered_resps"]), str(s["resps"])) for s in samples]


@pytest.mark.parametrize("model", ["hf-fast", "self_consistency"])
def test_models_share_no_answers(
    model: str, tiny_model: Path, other_model: Path, tasks: Any, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    more: dict[str, Any] = {} if model == "hf-fast" else SAMPLED
    cache = tmp_path / "cache"
    folders = (tiny_model, other_model)
    alone = [evaluate(model, folder, tasks, None, **more) for folder in folders]
    assert alone[0] != alone[1]
    with caplog.at_level(logging.WARNING):
        shared = [evaluate(model, folder, tasks, cache, **more) for folder in folders]
    assert shared == alone
    if model == "self_consistency":
        assert "holds answers of another model" in caplog.text
    assert [evaluate(model, folder, tasks, cache, **more) for folder in folders] == alone


def test_a_cache_of_the_harness_is_not_read(
    tiny_model: Path, other_model: Path, tasks: Any, tmp_path: Path
) -> None:
    evaluate("hf", other_model, tasks, tmp_path / "cache")
    alone = evaluate("hf-fast", tiny_model, tasks, None)
    assert evaluate("hf-fast", tiny_model, tasks, tmp_path / "cache") == alone


def test_seeds_share_no_samples(tiny_model: Path, tasks: Any, tmp_path: Path) -> None:
    def drawn(seed: int, cache: Path | None) -> Any:
        return evaluate(
            "self_consistency", tiny_model, tasks, cache, torch_random_seed=seed, **SAMPLED
        )

    alone = [drawn(seed, None) for seed in (7, 8)]
    assert alone[0] != alone[1]
    assert [drawn(seed, tmp_path / "cache") for seed in (7, 8, 7)] == [*alone, alone[0]]


@pytest.mark.parametrize(
    ("given", "run", "sent"), [({}, 1234, 1234), ({}, 7, 7), ({"seed": 99}, 7, 99)]
)
def test_servers_are_told_the_users_seed(
    given: dict[str, Any], run: int, sent: int, tasks: Any
) -> None:
    pytest.importorskip("tenacity", reason="lm-eval[api] is not installed")
    with FakeApi() as api:
        simple_evaluate(
            model="self_consistency", tasks=["calib_toy_generate"], task_manager=tasks, limit=1,
            model_args={"base": "local-chat-completions", "model": "m", "base_url": api.url,
                        "candidates": 3, **given},
            apply_chat_template=True, bootstrap_iters=0, torch_random_seed=run,
        )  # fmt: skip
    asked = [p for p in api.payloads if "n" not in p]  # (once, whether it gives several samples)
    assert sorted(p["seed"] for p in asked) == [sent, sent + 1, sent + 2]


def test_identity(tiny_model: Path, other_model: Path) -> None:
    def load(folder: Path, dtype: str = "float32") -> Any:
        return FastHFLM(pretrained=str(folder), device="cpu", dtype=dtype)

    class Server:
        model = "m"

    one, other, half = load(tiny_model), load(other_model), load(tiny_model, "bfloat16")
    assert identity(one) == identity(half) != identity(other)
    assert identity(Server(), {"model": "a"}) != identity(Server(), {"model": "b"})
    assert identity(Server(), {"model": "a", "api_key": "x"}) == identity(Server(), {"model": "a"})
