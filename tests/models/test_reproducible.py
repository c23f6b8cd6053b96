"""`reproducible=true`: a request's log-likelihood and text are the same to the bit in any company."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import families
import pytest
import torch
import transformers
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from lm_eval.models.huggingface import HFLM
from requesting import requested

from lm_eval_calibration.generating.sampling import numbers_of
from lm_eval_calibration.models.hf_fast import FastHFLM
from lm_eval_calibration.models.shared.arithmetic import processor

WORDS = ["what", "is", "an", "item", "this", "that", "no", "yes", "or", "and", "of"]
KINDS = {
    "llama": "passages apart",
    "gemma3_text": "passages apart",
    "gpt2": "passages apart",
    "mixtral": "continued one by one",
    "lfm2": "continued in steps of one shape",
    "bamba": "continued in steps of one shape",
    "mamba": "",
    "t5": "one by one after their encoder's pass",
}
WRITERS = {
    "llama": "rows apart",
    "gemma3_text": "rows apart",
    "gpt2": "rows apart",
    "mixtral": "texts one by one",
    "lfm2": "samples of a prompt in steps of one shape",
    "bamba": "samples of a prompt in steps of one shape",
    "mamba": "",
    "t5": "",
}
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
FEW = ["llama", "gemma3_text", "mixtral", "lfm2", "t5"]
Make = Callable[..., FastHFLM]


@pytest.fixture
def make(tiny_model: Any) -> Make:
    """`hf-fast` on a tiny model of a family."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model)

    def load(
        kind: str, dtype: torch.dtype = torch.float32, cls: Any = FastHFLM, **options: Any
    ) -> Any:
        seq2seq = kind == "t5"
        model = families.made(kind, len(tokenizer), seq2seq=seq2seq).to(dtype)
        backend = "seq2seq" if seq2seq else "causal"
        return cls(
            pretrained=model, tokenizer=tokenizer, device="cpu", max_length=512, backend=backend,
            softmax_dtype="float32", **options,
        )  # fmt: skip

    return load


def questions(seed: int, shots: int = 0, count: int = 4) -> list[Any]:
    """Documents after a few-shot block, or none, each with options of several lengths."""
    draw = random.Random(seed)

    def text(words: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(words))

    block = "".join(f"{text(15)}\n\n" for _ in range(shots))
    found = []
    for _ in range(count):
        context = block + text(draw.randrange(2, 30))
        found += [(context, f" {text(draw.randrange(1, 6))}") for _ in range(4)]
    return [requested("loglikelihood", one, i) for i, one in enumerate(found)]


REQUESTS = [*questions(0), *questions(1, shots=6), *questions(2, count=2)]


def values(lm: FastHFLM, requests: list[Any]) -> list[tuple[float, bool]]:
    return list(lm.loglikelihood(requests, disable_tqdm=True))


@pytest.mark.parametrize(
    "dtype", [*DTYPES[:2], pytest.param(DTYPES[2], marks=pytest.mark.exhaustive)], ids=str
)
@pytest.mark.parametrize(
    "kind", [*FEW, *(pytest.param(k, marks=pytest.mark.exhaustive) for k in KINDS if k not in FEW)]
)
def test_the_same_bits_in_any_company(
    make: Make, kind: str, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    """Any part of the requests in any order, at any batch size, in one call or resumed in a second."""
    caplog.set_level("INFO")
    models = {size: make(kind, dtype, reproducible=True, batch_size=size) for size in (1, 16)}
    whole = values(make(kind, dtype, reproducible=True), REQUESTS)
    assert KINDS[kind] in caplog.text

    @settings(max_examples=6, derandomize=True, phases=[Phase.generate])
    @given(
        st.permutations(range(len(REQUESTS))),
        st.integers(1, len(REQUESTS)),
        st.integers(0, len(REQUESTS)),
        st.sampled_from(list(models)),
    )
    def same(order: list[int], count: int, first: int, size: int) -> None:
        for numbers in (order[:count][:first], order[:count][first:]):
            if numbers:
                asked = [REQUESTS[n] for n in numbers]
                assert values(models[size], asked) == [whole[n] for n in numbers]

    same()


@pytest.mark.parametrize("kind", FEW)
def test_they_are_those_of_hf(make: Make, kind: str) -> None:
    ours = values(make(kind, reproducible=True), REQUESTS)
    theirs = make(kind, cls=HFLM, batch_size=1).loglikelihood(REQUESTS, disable_tqdm=True)
    for (value, greedy), (expected, best) in zip(ours, theirs, strict=True):
        assert value == pytest.approx(expected, abs=2e-3, rel=1e-5)
        assert greedy == best


def texts(seed: int = 0, count: int = 9) -> list[Any]:
    """Prompts of several lengths, some after the same examples, some asked for twice; every third is drawn."""
    draw = random.Random(seed)
    shots = "".join(f"{' '.join(draw.choices(WORDS, k=15))}\n\n" for _ in range(6))
    found = []
    for i in range(count):
        prompt = shots * (i % 2) + " ".join(draw.choices(WORDS, k=draw.randrange(2, 30)))
        asked: dict[str, Any] = {"until": ["\n"], "max_gen_toks": 4 + i, "do_sample": i % 3 == 2}
        if asked["do_sample"]:
            asked["temperature"] = 0.8
        found += [(prompt, asked)] * (2 if asked["do_sample"] else 1)
    requests = [requested("generate_until", one, i) for i, one in enumerate(found)]
    for request, number in zip(requests, numbers_of(requests), strict=True):
        request.sample = number
    return requests


@pytest.mark.parametrize(
    "dtype",
    [torch.bfloat16, *(pytest.param(d, marks=pytest.mark.exhaustive) for d in DTYPES[::2])],
    ids=str,
)
@pytest.mark.parametrize(
    "kind",
    [
        *FEW[:-1],
        *(pytest.param(k, marks=pytest.mark.exhaustive) for k in KINDS if k not in FEW[:-1]),
    ],
)
def test_the_same_texts_in_any_company(
    make: Make, kind: str, dtype: torch.dtype, caplog: pytest.LogCaptureFixture
) -> None:
    """Greedy ones and samples by their numbers, of any part of the requests, at any batch size."""
    caplog.set_level("INFO")
    asked = texts()
    whole = make(kind, dtype, reproducible=True).generate_until(asked, disable_tqdm=True)
    assert WRITERS[kind] in caplog.text
    for seed, size in ((1, 1), (2, 4), (3, len(asked))):
        lm = make(kind, dtype, reproducible=True, batch_size=size)
        numbers = random.Random(seed).sample(range(len(asked)), size)
        found = lm.generate_until([asked[n] for n in numbers], disable_tqdm=True)
        assert found == [whole[n] for n in numbers]


@pytest.mark.parametrize("kind", FEW[:-1])
def test_greedy_ones_are_those_of_hf(make: Make, kind: str) -> None:
    asked = [request for request in texts() if not request.args[1]["do_sample"]]
    ours = make(kind, reproducible=True).generate_until(asked, disable_tqdm=True)
    assert ours == make(kind, cls=HFLM, batch_size=1).generate_until(asked, disable_tqdm=True)


def test_what_it_is_of_is_said(make: Make) -> None:
    one = make("llama", reproducible=True).get_model_info()["reproducible"]
    other = make("llama", torch.bfloat16, reproducible=True).get_model_info()["reproducible"]
    assert one["dtype"] == "float32" and other["dtype"] == "bfloat16"
    assert one["fingerprint"] != other["fingerprint"]
    assert "reproducible" not in make("llama").get_model_info()


def test_other_kernels_have_another_fingerprint(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By the environment, and by a processor of the same name that has other instructions."""
    lm = make("llama", reproducible=True)
    plain = lm.get_model_info()["reproducible"]
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    told = lm.get_model_info()["reproducible"]
    assert told["kernels"] == {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    assert told["fingerprint"] != plain["fingerprint"]
    described = tmp_path / "cpuinfo"
    described.write_text("model name\t: Xeon\nflags\t: fpu avx2 amx_bf16\n\nmodel name\t: Other\n")
    assert processor(described) == {"processor": "Xeon", "instructions": "amx_bf16 avx2"}
    assert "processor" in processor(tmp_path / "nothing")


def test_states_are_the_same(make: Make) -> None:
    """What THERMOMETER reads."""

    def seen(requests: list[Any]) -> dict[int, Any]:
        found: dict[int, Any] = {}

        def observe(answers: Any) -> None:
            for number, state in zip(answers.requests, answers.hidden, strict=True):
                found[number] = state.clone()

        make("llama", reproducible=True).observed(requests, observe, disable_tqdm=True)
        return found

    whole, part = seen(REQUESTS), seen(REQUESTS[4:9])
    assert all(torch.equal(whole[n + 4], part[n]) for n in range(5))


def test_a_posterior_s_draws(tiny_model: Any, swag_folder: Any) -> None:
    """Documents of a posterior's average, alone and beside others."""
    from lm_eval_calibration.models.swag import SwagLM

    def drawn(requests: list[Any]) -> list[Any]:
        lm = SwagLM(
            pretrained=str(tiny_model), swag=str(swag_folder), samples=3, device="cpu",
            reproducible=True, allow_seen=True,
        )  # fmt: skip
        return [tuple(answer) for answer in lm.loglikelihood(requests, disable_tqdm=True)]

    documents = [
        requested("loglikelihood", (f"what is {n} this item", f" {option}"), i, of=("toy", n))
        for n in range(4)
        for i, option in enumerate(("yes", "no or", "that"))
    ]
    whole = drawn(documents)
    assert drawn(documents[3:6]) == whole[3:6]
