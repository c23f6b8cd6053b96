"""Sampled tokens that depend on the prompt and the sample's number alone.

The random numbers of a batch otherwise depend on what else is in it: on the batch size, on how many
processes share the documents, on where a run was resumed.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


def numbers_of(requests: Sequence[Any]) -> list[int]:
    """Which sample of its prompt each request (`Instance`) asks for: its `sample`, or as they come."""
    counts: Counter[str] = Counter()
    found = []
    for request in requests:
        found.append(getattr(request, "sample", counts[request.args[0]]))
        counts[request.args[0]] += 1
    return found


class Samples:
    """The seeds of samples that are drawn batch by batch.

    Args:
        prompts: to generate from.
        numbers: of their samples.
    """

    def __init__(self, prompts: Sequence[str] = (), numbers: Sequence[int] = ()) -> None:
        self._numbers: dict[str, deque[int]] = defaultdict(deque)
        for prompt, number in zip(prompts, numbers, strict=True):
            self._numbers[prompt].append(number)

    def seeds(self, prompts: Sequence[str]) -> list[int]:
        """(B,) seeds of the next sample of each prompt; none if a prompt was not asked for."""
        if not all(map(self._numbers.get, prompts)):
            return []
        return [row_seed(prompt, self._numbers[prompt].popleft()) for prompt in prompts]


def row_seed(prompt: str, number: int) -> int:
    """The seed of one sample of a prompt, under the seed that the run was started with."""
    text = f"{torch.initial_seed()}\0{number}\0{prompt}"
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "replace")).digest()[:8], "big") >> 1


def drawn(probabilities: torch.Tensor, where: Sequence[float]) -> torch.Tensor:
    """(B,) the token of each row (B, V) in which a share of its probability ends, in the order of the vocabulary.

    Args:
        probabilities: they need not sum to 1.
        where: (B,) the shares, from 0 to below 1.
    """
    ends = probabilities.cumsum(dim=-1, dtype=torch.float64)
    share = torch.tensor(list(where), dtype=torch.float64, device=ends.device)[:, None]
    found: torch.Tensor = torch.searchsorted(ends, share * ends[:, -1:], right=True)
    return found[:, 0].clamp(max=probabilities.shape[-1] - 1)


class SeededRows(TorchFunctionMode):
    """Inside, each row of a batch is drawn from by random numbers of its own.

    Args:
        seeds: (B,) of the rows; with none, or of another batch, nothing is changed.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self._numbers = [random.Random(seed) for seed in seeds]

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
            shares = [numbers.random() for numbers in self._numbers]
            return drawn(args[0] if args else kwargs["input"], shares)[:, None]
        return func(*args, **kwargs)

    def _one_each(
        self, input: torch.Tensor, num_samples: int, *_: Any, generator: Any = None, **__: Any
    ) -> bool:
        return num_samples == 1 and generator is None and input.shape[:-1] == (len(self._numbers),)
