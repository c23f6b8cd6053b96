"""Sampled tokens that depend on the prompt and the sample's number alone.

The random numbers of a batch otherwise depend on what else is in it: on the batch size, on how many
processes share the documents, on where a run was resumed.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

GOLDEN, SPREAD, SPREAD_AGAIN = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""Constants of SplitMix64."""


def numbers_of(requests: Sequence[Any]) -> list[int]:
    """Which sample of its prompt each request (`Instance`) asks for: its `sample`, or as they come."""
    counts: Counter[str] = Counter()
    found = []
    for request in requests:
        found.append(getattr(request, "sample", counts[request.args[0]]))
        counts[request.args[0]] += 1
    return found


class SampledTexts:
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


def drawn(scores: torch.Tensor, seeds: Sequence[int], step: int | Sequence[int]) -> torch.Tensor:
    """(B,) a token of the softmax of each row's scores (B, V): the first of a race.

    A token waits for e / p, e standard exponential. Its e is made of its row's seed, its step and its
    own number, so that neither other rows nor tokens that are filtered out, and hardly ever the
    rounding of scores, change what is drawn.

    Args:
        scores: log-probabilities up to a constant; -inf for what cannot be.
        seeds: (B,) of the rows.
        step: how many tokens were drawn before, of all rows or (B,).
    """
    keys = _keys(seeds, [step] * len(seeds) if isinstance(step, int) else step).to(scores.device)
    rows, tokens = scores.isfinite().nonzero(as_tuple=True)
    waits = -_uniform(keys[rows], tokens).log()
    heads = torch.full_like(scores, -torch.inf, dtype=torch.float64)
    heads[rows, tokens] = scores[rows, tokens].double() - waits.log()
    return heads.argmax(dim=-1)


def _keys(seeds: Sequence[int], steps: Sequence[int]) -> torch.Tensor:
    """(B,) of a row's step: as whole numbers of 64 bits."""
    each = [seed * SPREAD + step * SPREAD_AGAIN for seed, step in zip(seeds, steps, strict=True)]
    return torch.tensor([_signed(key) for key in each], dtype=torch.int64)


def _uniform(keys: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Numbers between 0 and 1, of keys and tokens (N,): SplitMix64 (Steele et al., 2014, figure 20), counting by tokens."""
    x = keys + (tokens + 1) * _signed(GOLDEN)
    x = (x ^ _shifted(x, 30)) * _signed(SPREAD)
    x = (x ^ _shifted(x, 27)) * _signed(SPREAD_AGAIN)
    x = x ^ _shifted(x, 31)
    return (_shifted(x, 11).double() + 0.5) * 2.0**-53


def _shifted(x: torch.Tensor, bits: int) -> torch.Tensor:
    """To the right, with zeros from the left."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(number: int) -> int:
    """The whole number of 64 bits that has the same lowest ones."""
    return (number + 2**63) % 2**64 - 2**63


class SeededRows(TorchFunctionMode):
    """Inside, each row of a batch is drawn from by random numbers of its own.

    Args:
        seeds: (B,) of the rows; with none, or of another batch, nothing is changed.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self._seeds, self._step = list(seeds), 0

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
            probabilities = args[0] if args else kwargs["input"]
            found = drawn(probabilities.log(), self._seeds, self._step)
            self._step += 1
            return found[:, None]
        return func(*args, **kwargs)

    def _one_each(
        self, input: torch.Tensor, num_samples: int, *_: Any, generator: Any = None, **__: Any
    ) -> bool:
        return num_samples == 1 and generator is None and input.shape[:-1] == (len(self._seeds),)
