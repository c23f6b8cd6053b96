"""Which requests an engine is tried on, and whether its answers are the harness's."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import median
from typing import Any

import torch

from lm_eval_calibration.scoring.head import text_config
from lm_eval_calibration.scoring.sequences import Request

EXACT, HALF = (1e-3, 1e-3), (0.5, 0.15)
"""How far log-likelihoods may be from `hf`'s when the engine is checked, in nats per root of the
scored tokens: the farthest, and the median. In bfloat16 `hf` itself moves by 0.15 (farthest) when
its batch size changes; a wrong mask or position is off by whole nats."""
SHORT, SHORT_TOKENS = 3, 64
"""So many of the shortest and of the middle are checked, by so many tokens of their contexts."""
SIBLINGS = 2
"""So many that share the longest's context: branches behave as one sequence up to some length alone."""
UNMASKED = (
    "attention_chunk_size", "attention_window", "attention_window_size", "index_topk", "local_attention",
    "window_size",
)  # fmt: skip
"""What configurations call the reach of attention that looks at rows' own positions, not at masks alone."""
LENGTHS = (*UNMASKED, "original_max_position_embeddings", "sliding_window")
"""What they call lengths beyond which something else is computed."""
_SWITCHING = ("dynamic", "longrope")
"""Kinds of rotary positions whose frequencies follow the longest input of a batch."""


def agree(
    requests: Sequence[Request], ours: Sequence[float], theirs: Sequence[float], dtype: torch.dtype
) -> bool:
    """Whether log-likelihoods differ by no more than rounding in `dtype` explains."""
    farthest, typical = EXACT if dtype in (torch.float32, torch.float64) else HALF
    errors = [
        max(abs(a - b) - 1e-5 * abs(b), 0.0) / math.sqrt(len(r.continuation))
        for r, a, b in zip(requests, ours, theirs, strict=True)
    ]
    # (NaN is no agreement)
    return all(error <= farthest for error in errors) and median(errors) <= typical


def some_of(requests: Sequence[Request], lengths: Sequence[int], longest: int) -> list[Request]:
    """Requests to check on: the longest, whole, with others of its context, and cut ones.

    Cut are some of the shortest and of the middle, by the end of their contexts; and the longest, to
    either side of each length at which the model may begin to compute something else.

    Args:
        requests: all of them.
        lengths: such lengths, as `named_lengths` gives them.
        longest: most tokens that the model reads.
    """
    order = sorted(requests, key=lambda r: (len(r.context), tuple(r.context[-8:])), reverse=True)
    middle, first = len(order) // 2, order[0]
    beside = [r for r in order[1:] if r.context == first.context and r != first][:SIBLINGS]
    others = order[1:][-SHORT:] + order[middle : middle + SHORT]
    short = [Request(r.context[-SHORT_TOKENS:], r.continuation) for r in others]
    read = min(size(first), longest)
    about = [
        _cut(r, n) for n in lengths if n < read for r in [first, *beside] for n in (n - 1, n + 1)
    ]
    return [first, *beside, *short, *(r for r in about if r is not None)]


def size(request: Request) -> int:
    """Its tokens."""
    return len(request.context) + len(request.continuation)


def _cut(request: Request, length: int) -> Request | None:
    """The end of a request that has so many tokens, if a token of the context is left."""
    kept = length - len(request.continuation)
    return Request(request.context[-kept:], request.continuation) if kept > 0 else None


def named_lengths(config: Any) -> list[int]:
    """Lengths that a model's configuration names: windows, chunks, where positions are scaled anew."""
    return sorted(set(_named(config.to_dict(), LENGTHS)))


def unmasked_length(config: Any) -> int | None:
    """Up to which length all layers attend by masks alone; `None` for any.

    Beyond it attention may go by where tokens stand in a row, as local attention does that is no
    sliding window: then trees are no longer computed as each input alone.
    """
    return min(_named(config.to_dict(), UNMASKED), default=None)


def unswitched_length(config: Any) -> int | None:
    """Up to which length rotary positions stay the same, whatever else is in a batch; `None` for any.

    Beyond it those of the kinds "longrope" and "dynamic" go by the batch's longest input, and what
    was computed of a beginning is not what a longer input has there.
    """
    text = text_config(config)
    found = []
    for name in ("rope_parameters", "rope_scaling"):
        for rope in _mappings(getattr(text, name, None)):
            if rope.get("rope_type", rope.get("type")) in _SWITCHING:
                known = rope.get("original_max_position_embeddings")
                known = known or getattr(text, "original_max_position_embeddings", None)
                found.append(int(known or text.max_position_embeddings))
    return min(found, default=None)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """A mapping, and those in it: some configurations have positions for each kind of layer."""
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _mappings(inner)


def _named(config: Any, names: Collection[str], name: str = "") -> Iterator[int]:
    """All whole numbers above 1 under some names, at any depth."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from _named(value, names, str(key))
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _named(value, names, name)
    elif name in names and isinstance(config, int) and not isinstance(config, bool) and config > 1:
        yield config
