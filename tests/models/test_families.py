"""`--model hf-fast` on every family of the installed transformers: `hf`'s numbers, whoever computes them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import families
import pytest
import torch
import transformers
from lm_eval.models.huggingface import HFLM
from requesting import requested

from lm_eval_calibration.models.hf_fast import FastHFLM

FEW = [
    "cohere", "deepseek_v3", "dory", "falcon_h1", "gemma3n_text", "gpt_neo", "gpt_oss", "jamba",
    "llama4_text", "mamba", "minicpm3", "nemotron_h", "qwen3_5_text",
]  # fmt: skip
"""Windows, sinks, chunks, loops, shared caches, latent attention, scaled logits, recurrences."""
REST = sorted(set(families.CAUSAL) - set(FEW))
every = pytest.mark.parametrize(
    "kind", [*FEW, *(pytest.param(kind, marks=pytest.mark.slow) for kind in REST)]
)
WORDS = ["what", "is", "an", "item", "this", "that", "no", "yes", "or", "and", "of"]


@pytest.fixture
def pair(tiny_model: Any) -> Callable[..., tuple[FastHFLM, HFLM]]:
    """`hf-fast` and `hf` on one model of a family."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model)

    def load(kind: str, seq2seq: bool = False) -> tuple[FastHFLM, HFLM]:
        try:
            model = families.made(kind, len(tokenizer), seq2seq=seq2seq)
            with torch.no_grad():
                tokens = torch.arange(3, 3 + 2 * families.WINDOW)[None] % len(tokenizer)
                model(tokens, labels=tokens) if seq2seq else model(tokens)
        except Exception as error:  # noqa: BLE001
            pytest.skip(f"not to be built small, or not to be run: {type(error).__name__}: {error}")
        options: dict[str, Any] = {"tokenizer": tokenizer, "device": "cpu", "max_length": 512}
        options["backend"] = "seq2seq" if seq2seq else "causal"
        return FastHFLM(pretrained=model, **options), HFLM(
            pretrained=model, batch_size=1, **options
        )

    return load


def text(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words))


def questions(seed: int, shots: int, count: int, length: int = 12) -> list[tuple[str, str]]:
    """Documents after a few-shot block, each with options of several lengths."""
    draw = random.Random(seed)
    block = text(draw, shots)
    found = []
    for _ in range(count):
        context = f"{block} {text(draw, draw.randrange(2, length))}"
        found += [(context.strip(), f" {text(draw, draw.randrange(1, 6))}") for _ in range(3)]
    return found


def asked(pairs: list[tuple[str, str]]) -> list[Any]:
    return [requested("loglikelihood", one, i) for i, one in enumerate(pairs)]


CALLS = [
    questions(1, 0, 3),  # short ones, that are checked
    [*questions(2, 40, 2), *questions(3, 0, 2)],  # beyond the windows, with a shared beginning
    [(text(random.Random(n), 5 + 12 * n), " this") for n in range(4)],  # alone, of many lengths
    questions(4, 25, 3),
]


WITHOUT_CONTEXT = [("", f" {text(random.Random(n), 60)}") for n in range(2)]
"""Of which nothing can be split: what they teach of an executor holds for no other requests."""


def compare(fast: FastHFLM, slow: HFLM, near: float = 1e-3, calls: Sequence[Any] = CALLS) -> None:
    for pairs in calls:
        found = fast.loglikelihood(asked(pairs), disable_tqdm=True)
        expected = slow.loglikelihood(asked(pairs), disable_tqdm=True)
        for one, (ours, theirs) in zip(pairs, zip(found, expected, strict=True), strict=True):
            assert ours[0] == pytest.approx(theirs[0], abs=near, rel=1e-6), one


@every
def test_log_likelihoods(kind: str, pair: Callable[..., tuple[FastHFLM, HFLM]]) -> None:
    fast, slow = pair(kind)
    compare(fast, slow, calls=[WITHOUT_CONTEXT, *CALLS])


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) for k in families.SEQ2SEQ]
)
def test_encoder_decoders(kind: str, pair: Callable[..., tuple[FastHFLM, HFLM]]) -> None:
    fast, slow = pair(kind, seq2seq=True)
    try:
        slow.loglikelihood(asked(CALLS[0]), disable_tqdm=True)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"hf does not score with it: {type(error).__name__}: {error}")
    compare(fast, slow, near=3e-3)  # (ProphetNet's padding moves the fourth digit)


@every
def test_hidden_states_training_and_generation(
    kind: str, pair: Callable[..., tuple[FastHFLM, HFLM]]
) -> None:
    """None of them fails, and what is generated is `hf`'s."""
    fast, slow = pair(kind)
    requests = asked(CALLS[0])
    seen: set[int] = set()
    fast.observed(requests, lambda found: seen.update(found.requests), True)
    assert seen == set(range(len(requests)))
    executor = fast.trained(fast.encoded(requests[:3]))
    with torch.enable_grad():
        total = sum(
            found.loglikelihood.sum() for found in executor.passes(fast.encoded(requests[:3]))
        )
    assert isinstance(total, torch.Tensor) and total.requires_grad
    settings = {"until": ["."], "max_gen_toks": 4, "do_sample": False}
    prompts = [
        requested("generate_until", (c, dict(settings)), i) for i, (c, _) in enumerate(CALLS[3])
    ]
    try:
        expected = slow.generate_until(prompts, disable_tqdm=True)
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"hf does not generate with it: {type(error).__name__}: {error}")
    assert fast.generate_until(prompts, disable_tqdm=True) == expected
