"""`hf` with texts written many at a time: what `hf-fast` does of generation."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from lm_eval_calibration.generating.rows import Written
from lm_eval_calibration.generating.sampling import SampledTexts, SeededRows, numbers_of, row_seed
from lm_eval_calibration.harness.api import hash_args
from lm_eval_calibration.harness.requests import GENERATE
from lm_eval_calibration.models.shared.generation import Generation, InOrder
from lm_eval_calibration.models.shared.likeliest import ASKED


class FastTexts(HFLM):
    """A model of transformers whose texts are written many at a time, or by `hf`; `begin_texts` comes first."""

    tells_own_tokens = answers_at_once = True

    def begin_texts(self, generation: Generation) -> None:
        """Once the model is loaded.

        Args:
            generation: what writes in `hf`'s place, where it may.
        """
        self._generation = generation
        self._samples = SampledTexts()
        self._contexts: list[str] = []

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """`hf`'s texts; samples of a prompt are numbered, by `sample` of their requests where they have it."""
        numbers, found = numbers_of(requests), {}

        def seed(number: int) -> int:
            return row_seed(requests[number].args[0], numbers[number])

        def told(number: int, text: str, written: Written) -> None:
            found[number] = text
            self.noted(written)
            self.cache_hook.add_partial(GENERATE, requests[number].args, text)

        ordered = InOrder([hash_args(GENERATE, request.args) for request in requests], told)
        self._generation.answer(requests, seed, ordered, disable_tqdm or self.rank != 0)
        left = [n for n in range(len(requests)) if n not in found]
        if left:
            rest = [requests[n] for n in left]
            self._samples = SampledTexts([r.args[0] for r in rest], [numbers[n] for n in left])
            found |= dict(zip(left, super().generate_until(rest, disable_tqdm), strict=True))
        return [found[number] for number in range(len(requests))]

    @property
    def spent(self) -> Counter[str]:
        """Texts that were written, and tokens of prompts and replies; without those that `hf` wrote."""
        return self._generation.spent

    def noted(self, written: Written) -> None:
        """Called with each text before the cache is told it."""

    def tok_batch_encode(self, strings: list[str], *args: Any, **options: Any) -> Any:
        """`hf`'s; the prompts are remembered, for the next generation is about them."""
        self._contexts = list(strings)
        return super().tok_batch_encode(strings, *args, **options)

    def _model_generate(self, *args: Any, **settings: Any) -> torch.Tensor:
        """`hf`'s, but that each row is drawn by random numbers of its own."""
        settings.pop(ASKED, None)  # (of tokens, `hf` tells nothing)
        greedy = settings.get("do_sample") is False
        seeds = [] if greedy else self._samples.seeds(self._contexts)
        with SeededRows(seeds) if seeds else contextlib.nullcontext():
            return super()._model_generate(*args, **settings)
