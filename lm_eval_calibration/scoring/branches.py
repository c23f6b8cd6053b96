"""Copies of a model's own cache, one for each input that goes on from it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch


class Cached(NamedTuple):
    """A model's own cache, and how many tokens it has read for it."""

    cache: Any
    length: int


def branches(cached: Cached | None, owners: Sequence[int]) -> Cached | None:
    """A cache whose rows are some rows of another, which stays as it is.

    Args:
        cached: of transformers; or a list or tuple of tensors, as RWKV has it; or `None`.
        owners: (B,) rows of it.

    Raises:
        TypeError: a cache of another kind.
    """
    return None if cached is None else Cached(_rows(cached.cache, owners), cached.length)


def kept(cached: Cached, rows: Sequence[int]) -> Cached:
    """Some rows of a cache, which is no longer to be used as it was.

    Raises:
        TypeError: a cache of another kind.
    """
    cache = cached.cache
    if not hasattr(cache, "reorder_cache"):
        return Cached(_rows(cache, rows), cached.length)
    cache.reorder_cache(torch.tensor(list(rows), device=_device(cache)))
    return cached


def bytes_of(cached: Cached | None) -> int:
    """What its tensors take."""
    return sum(t.numel() * t.element_size() for t in _tensors(cached, set()))


def _rows(cache: Any, owners: Sequence[int]) -> Any:
    if isinstance(cache, torch.Tensor):
        return cache.index_select(0, torch.tensor(owners, device=cache.device))
    if isinstance(cache, list | tuple):
        return type(cache)([_rows(part, owners) for part in cache])
    if not hasattr(cache, "reorder_cache"):
        raise TypeError(f"a {type(cache).__name__} cannot be copied for branches")
    copied = copy.deepcopy(cache)
    copied.reorder_cache(torch.tensor(owners, device=_device(cache)))
    return copied


def _device(cache: Any) -> torch.device | None:
    return next((tensor.device for tensor in _tensors(cache, set())), None)


def _tensors(value: Any, seen: set[int]) -> Iterator[torch.Tensor]:
    """All in a cache, each once."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner, seen)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()), seen)
    elif hasattr(value, "__dict__"):
        yield from _tensors(list(vars(value).values()), seen)
