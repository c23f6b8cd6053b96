"""Sampled tokens that depend on the prompt and the sample's number alone.

The random numbers of a batch otherwise depend on what else is in it: on the batch size, on how many
processes share the documents, on where a run was resumed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Samples:
    """The samples that requests (`Instance`) ask for, and the seed of each.

    Args:
        requests: to generate from. Equal prompts are numbered by their attribute `sample`, where they
            have it, else as they come.
    """

    def __init__(self, requests: Sequence[Any]) -> None:
        self._numbers: dict[str, deque[int]] = defaultdict(deque)
        for request in requests:
            numbers = self._numbers[request.args[0]]
            numbers.append(getattr(request, "sample", len(numbers)))

    def seeds(self, prompts: Sequence[str]) -> list[int]:
        """(B,) seeds of the next sample of each prompt; none if a prompt was not asked for."""
        if not all(map(self._numbers.get, prompts)):
            return []
        return [row_seed(prompt, self._numbers[prompt].popleft()) for prompt in prompts]


def row_seed(prompt: str, number: int) -> int:
    """The seed of one sample of a prompt, under the seed that the run was started with."""
    text = f"{torch.initial_seed()}\0{number}\0{prompt}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big") >> 1


class SeededRows(TorchFunctionMode):
    """Inside, each row of a batch is drawn from by a random generator of its own.

    A draw from probabilities p is the index with the least e / p, e standard exponential, as
    `torch.multinomial` has it for one draw.

    Args:
        seeds: (B,) of the rows; with none, or of another batch, nothing is changed.
        device: on which the model generates.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        super().__init__()
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Draw by row; let every other function be."""
        kwargs = kwargs or {}
        if func is torch.multinomial and self._one_each(*args, **kwargs):
            return self._draw(args[0] if args else kwargs["input"])
        return func(*args, **kwargs)

    def _one_each(
        self, input: torch.Tensor, num_samples: int, *_: Any, generator: Any = None, **__: Any
    ) -> bool:
        return (
            num_samples == 1 and generator is None and input.shape[:-1] == (len(self._generators),)
        )

    def _draw(self, probabilities: torch.Tensor) -> torch.Tensor:
        """(B, 1) token numbers from (B, V) probabilities."""
        waits = torch.empty_like(probabilities)
        for row, generator in zip(waits, self._generators, strict=True):
            row.exponential_(generator=generator)
        return (probabilities / waits).argmax(dim=-1, keepdim=True)
