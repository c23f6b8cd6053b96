"""`--model hf-fast` on models that are not its kind, in part or at all: `hf`'s numbers, and a line why."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from requesting import requested

from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.scoring import continued, packed
from lm_eval_calibration.scoring.checking import (
    named_lengths,
    size,
    some_of,
    unmasked_length,
    unswitched_length,
)
from lm_eval_calibration.scoring.sequences import Request

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": 512,
}  # fmt: skip
LONGROPE = {
    "rope_type": "longrope", "rope_theta": 1e4, "original_max_position_embeddings": 48,
    "short_factor": [1.0] * 4, "long_factor": [1.0, 2.0, 8.0, 16.0],
}  # fmt: skip


def longrope(vocabulary: int) -> Any:
    config = transformers.LlamaConfig(
        vocab_size=vocabulary, **SMALL, rope_parameters=LONGROPE,
        original_max_position_embeddings=48,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config)


def local(vocabulary: int) -> Any:
    """GPT-Neo: half of its layers see 16 tokens, by their place in the row."""
    config = transformers.GPTNeoConfig(
        vocab_size=vocabulary, hidden_size=32, num_layers=2, num_heads=4, window_size=16,
        attention_types=[[["global", "local"], 1]], max_position_embeddings=512,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return transformers.GPTNeoForCausalLM(config)


def hybrid(vocabulary: int) -> Any:
    """Bamba: recurrent layers, which no tree can be given."""
    config = transformers.BambaConfig(
        vocab_size=vocabulary, **SMALL, mamba_n_heads=8, mamba_d_head=8, mamba_n_groups=1,
        mamba_d_state=8, attn_layer_indices=[1], pad_token_id=0,
    )  # fmt: skip
    return transformers.BambaForCausalLM(config)


KINDS: dict[str, Callable[[int], Any]] = {
    "longrope": longrope, "local": local, "hybrid": hybrid,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """A folder with a random model of a kind, and the tiny model's tokenizer."""
    folder = tmp_path_factory.mktemp("odd")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model)

    def make(kind: str) -> str:
        path = folder / kind
        if not path.exists():
            torch.manual_seed(0)
            model = KINDS[kind](len(tokenizer))
            for parameter in model.parameters():  # far from uniform, so that a wrong mask shows
                parameter.data *= 3
            model.save_pretrained(path)
            tokenizer.save_pretrained(path)
        return str(path)

    return make


def asked(pairs: list[tuple[str, str]]) -> list[Any]:
    return [requested("loglikelihood", pair, i) for i, pair in enumerate(pairs)]


def questions(words: int, count: int = 3) -> list[tuple[str, str]]:
    """Documents of so many words, each with three options."""
    shots = "What is item 3? this. " * (words // 5)
    return [
        (f"{shots}What is item {i}?", f" {o}") for i in range(count) for o in ("this", "that", "no")
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_long_inputs_are_hfs(
    kind: str, made: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    """Short ones first, so that they alone are checked; then long ones; then both together."""
    options = {
        "pretrained": made(kind), "device": "cpu", "dtype": "float32", "max_length": 512
    }  # fmt: skip
    fast, plain = FastHFLM(**options, batch_size=1), HFLM(**options, batch_size=1)
    longest = 0
    for pairs in (questions(2, 2), questions(25, 2), questions(5, 1) + questions(20, 1)):
        longest = max(longest, *(size(request) for request in fast.encoded(asked(pairs))))
        found = fast.loglikelihood(asked(pairs), disable_tqdm=True)
        expected = plain.loglikelihood(asked(pairs), disable_tqdm=True)
        for (a, greedy), (b, best) in zip(found, expected, strict=True):
            assert a == pytest.approx(b, abs=1e-3) and greedy == best
    said = [r.getMessage() for r in caplog.records if "as slowly as hf" in r.getMessage()]
    assert len(said) == (kind == "longrope")  # (what cannot be packed goes on from a cache)
    _, packed, continued, _ = fast.trust.candidates
    assert (packed.reason is not None) == (kind != "longrope")
    assert continued.reason is None and continued.checked.tokens == (
        0 if kind == "longrope" else longest
    )


@pytest.mark.parametrize("takes_caches", [True, False])
def test_a_model_that_fails_later_is_left_to_others(
    takes_caches: bool,
    tiny_model: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was answered before stays; the rest goes on from caches, or is `hf`'s, with one line."""
    if not takes_caches:
        monkeypatch.setattr(continued, "CACHES", ())
    options = {"pretrained": str(tiny_model), "device": "cpu", "dtype": "float32"}
    fast, plain = FastHFLM(**options, batch_tokens=96), HFLM(**options, batch_size=1)
    fast.loglikelihood(asked(questions(30, 1)), disable_tqdm=True)  # (checked)
    passes = iter(range(100))
    whole = packed.Network.hidden

    def failing(self: Any, *given: Any) -> Any:
        if next(passes):
            raise IndexError
        return whole(self, *given)

    monkeypatch.setattr(packed.Network, "hidden", failing)
    pairs = questions(20, 8)
    expected = plain.loglikelihood(asked(pairs), disable_tqdm=True)
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        found = fast.loglikelihood(asked(pairs), disable_tqdm=True)
        assert [v for v, _ in found] == pytest.approx([v for v, _ in expected], abs=1e-4)
    said = [r.getMessage() for r in caplog.records if "as slowly as hf" in r.getMessage()]
    left_to_hf = (
        "hf-fast scores as slowly as hf: the model failed on packed inputs that read a prefix together "
        "(IndexError); the model does not take packed inputs (IndexError); the model "
        "does not take inputs continued from a cache (TypeError: the model takes no cache); the model "
        "does not take inputs continued token by token (TypeError: the model takes no cache)."
    )
    assert said == ([] if takes_caches else [left_to_hf])


def test_lengths_that_a_configuration_names() -> None:
    def lengths(config: Any) -> tuple[list[int], int | None, int | None]:
        return named_lengths(config), unmasked_length(config), unswitched_length(config)

    assert lengths(transformers.GPTNeoConfig(window_size=256)) == ([256], 256, None)
    assert lengths(transformers.Gemma3TextConfig(sliding_window=512)) == ([512], None, None)
    llama = transformers.LlamaConfig(
        rope_parameters=LONGROPE, original_max_position_embeddings=48, max_position_embeddings=512
    )
    assert lengths(llama) == ([48], None, 48)
    assert lengths(transformers.LlamaConfig()) == ([], None, None)


def test_checked_are_both_sides_of_each_length() -> None:
    requests = [Request(list(range(n)), [1, 2]) for n in (4, 9, 60)]
    requests.append(Request(list(range(60)), [3]))
    sizes = [len(r.context) + len(r.continuation) for r in some_of(requests, [16, 500], 1000)]
    assert {62, 61, 15, 17} <= set(sizes) and max(sizes) == 62


@pytest.mark.parametrize("discriminate", ["index", "likelihood"])
def test_an_encoder_decoder_model_chooses_among_its_answers(
    discriminate: str, tiny_t5: Path, tasks: Any
) -> None:
    """SELF-[IN]CORRECT's non-autoregressive models are of this kind."""
    found = simple_evaluate(
        model="self_correct",
        model_args={
            "base": "hf", "pretrained": str(tiny_t5), "device": "cpu", "dtype": "float32",
            "candidates": 2, "discriminate": discriminate, "max_gen_toks": 4,
        },
        tasks=["calib_toy_generate"], task_manager=tasks, limit=3, bootstrap_iters=0,
    )  # fmt: skip
    results = found["results"]["calib_toy_generate"]
    assert {"gen,none", "disc,none", "dg_diff,none", "oracle,none"} <= set(results)
    for sample in found["samples"]["calib_toy_generate"]:
        assert len(sample["envelopes"]["candidates"]) == 2
