"""Samples depend on prompt, number and seed alone, and have the probabilities they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from requesting import requested
from scipy.stats import chisquare

from lm_eval_calibration.generating.sampling import SeededRows, row_seed
from lm_eval_calibration.models.hf_fast import FastHFLM

GIVEN = {"until": ["@"], "max_gen_toks": 6, "do_sample": True, "temperature": 1.5}


@pytest.fixture(scope="module")
def lm(tiny_model: Path) -> FastHFLM:
    return FastHFLM(pretrained=str(tiny_model), dtype="float64", device="cpu", batch_size=4)


def ask(lm: FastHFLM, prompts: list[tuple[str, int | None]], batch: int = 4) -> list[str]:
    torch.manual_seed(1234)
    lm.batch_size_per_gpu = batch
    requests: list[Any] = []
    for prompt, number in prompts:
        request = requested("generate_until", (prompt, GIVEN))
        if number is not None:
            request.sample = number  # type: ignore[attr-defined]
        requests.append(request)
    return lm.generate_until(requests, disable_tqdm=True)


def test_neither_batches_nor_neighbours_matter(lm: FastHFLM) -> None:
    prompts: list[tuple[str, int | None]] = [
        (f"What is item {i} of test?" + " again" * (i % 3), n) for i in range(5) for n in range(4)
    ]
    together = ask(lm, prompts)
    assert len(set(together)) > 10
    for batch in (1, 3, 20):
        assert ask(lm, prompts, batch) == together
    halves = {0: prompts[::2], 1: prompts[1::2]}
    parted = {parity: ask(lm, half) for parity, half in halves.items()}
    assert [parted[i % 2][i // 2] for i in range(20)] == together


def test_samples_without_numbers_are_told_apart_by_order(lm: FastHFLM) -> None:
    numbered = ask(lm, [("What is item 1 of test?", n) for n in range(6)])
    assert ask(lm, [("What is item 1 of test?", None)] * 6, batch=2) == numbered


def test_the_runs_seed_matters(lm: FastHFLM, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask(lm, [("What is item 1 of test?", 0)])
    monkeypatch.setattr(torch, "initial_seed", lambda: 7)
    assert ask(lm, [("What is item 1 of test?", 0)]) != first


def test_draws_have_the_probabilities() -> None:
    p = torch.tensor([0.5, 0.2, 0.2, 0.1, 0.0]).expand(20_000, 5)
    with SeededRows([row_seed("prompt", n) for n in range(20_000)]):
        drawn = torch.multinomial(p, num_samples=1)
        again = torch.multinomial(p, num_samples=1)
    assert drawn.shape == (20_000, 1) and not torch.equal(drawn, again)
    counts = np.bincount(drawn[:, 0].numpy(), minlength=5)
    assert counts[4] == 0
    assert chisquare(counts[:4], 20_000 * np.array([0.5, 0.2, 0.2, 0.1])).pvalue > 1e-3


def test_other_draws_are_left_alone() -> None:
    p = torch.full((3, 4), 0.25)
    torch.manual_seed(0)
    plain = torch.multinomial(p, num_samples=2)
    torch.manual_seed(0)
    with SeededRows([1, 2, 3]):
        inside = torch.multinomial(p, num_samples=2)
    assert torch.equal(plain, inside)
