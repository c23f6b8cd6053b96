"""Which requests an engine is tried on, and whether its answers are the harness's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import torch

from lm_eval_calibration.scoring.head import text_config
from lm_eval_calibration.scoring.sequences import Request


class Apart(NamedTuple):
    """How far log-likelihoods are from others, in nats per root of the scored tokens."""

    farthest: float
    median: float


EXACT, HALF = Apart(2e-4, 5e-5), Apart(0.5, 0.15)
"""How far an engine's may be from `hf`'s."""
RELATIVE = 2e-6
"""What rounding in single precision adds to that, as a share of a log-likelihood."""
LEAST, TIMES = Apart(0.1, 0.06), 3.0
"""In 16 bits `HALF` is the most; less where the model is nearer to itself: so many times that, and this at least. An
engine that loses a state may be off by no more than half a nat."""
SHORTEST = 8
"""Smaller numbers are no lengths of inputs, whatever they are called."""
SHORT, SHORT_TOKENS = 3, 64
"""So many of the shortest and of the middle are checked, by so many tokens of their contexts."""
SIBLINGS = 2
"""So many that share the longest's context: branches behave as one sequence up to some length alone."""
UNMASKED = (
    "attention_chunk_size", "attention_window", "attention_window_size", "index_topk", "local_attention",
    "window_size",
)  # fmt: skip
"""What configurations call the reach of attention that looks at rows' own positions, not at masks alone."""
LENGTHS = re.compile(
    r"window|chunk|block|segment|seq_len|original_max_position|index_topk|local_attention"
)
"""What they call lengths beyond which something else may be computed."""
NO_LENGTHS = re.compile(r"^num_|layers|feed_forward|_dim$|multiple_of$")
_SWITCHING = ("dynamic", "longrope")
"""Kinds of rotary positions whose frequencies follow the longest input of a batch."""


def apart(requests: Sequence[Request], some: Sequence[float], others: Sequence[float]) -> Apart:
    """How far two computations of requests are from each other; NaN where one is NaN.

    >>> round(apart([Request([1], [2] * 4)], [-1.0], [-1.5]).farthest, 3)
    0.25
    """
    errors = [
        max(abs(a - b) - RELATIVE * abs(b), 0.0) / math.sqrt(len(r.continuation))
        if math.isfinite(a - b)
        else math.nan
        for r, a, b in zip(requests, some, others, strict=True)
    ]
    if any(map(math.isnan, errors)):
        return Apart(math.nan, math.nan)
    return Apart(max(errors, default=0.0), median(errors) if errors else 0.0)


def from_itself(
    config: Any, requests: Sequence[Request], some: Sequence[float], others: Sequence[float]
) -> Apart:
    """How far a model's own log-likelihoods are from those that it computes in another shape.

    Where experts are chosen, a token near the border between two goes to one in one shape and to the other in the
    next, now and then: single requests may be as far off as any in 16 bits.
    """
    found = apart(requests, some, others)
    return found._replace(farthest=math.inf) if experts_of(config) else found


def agree(
    requests: Sequence[Request],
    ours: Sequence[float],
    theirs: Sequence[float],
    dtype: torch.dtype,
    noise: Apart | None = None,
) -> bool:
    """Whether log-likelihoods differ by no more than rounding in `dtype` explains.

    Args:
        requests: which were scored.
        ours: their log-likelihoods in nats.
        theirs: `hf`'s.
        dtype: in which they were computed.
        noise: how far the model is from itself when it computes in another shape, if that is known.
    """
    exact = dtype in (torch.float32, torch.float64)
    limit = EXACT if exact else HALF
    if not exact and noise is not None:
        limit = Apart(
            *(
                min(most, max(least, TIMES * far))
                for most, least, far in zip(HALF, LEAST, noise, strict=True)
            )
        )
    found = apart(requests, ours, theirs)
    return found.farthest <= limit.farthest and found.median <= limit.median  # (NaN is not)


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
    return sorted({n for n in _named(config.to_dict(), _is_length) if n >= SHORTEST})


def experts_of(config: Any) -> int:
    """Among how many experts a model's layers choose for each token; 0 if there are none.

    What an expert computes of a token may hang on how many others of the pass were sent to it.
    """
    return max(_named(config.to_dict(), lambda name: "expert" in name), default=0)


def unmasked_length(config: Any) -> int | None:
    """Up to which length all layers attend by masks alone; `None` for any.

    Beyond it attention may go by where tokens stand in a row, as local attention does that is no
    sliding window: then trees are no longer computed as each input alone.
    """
    return min(_named(config.to_dict(), UNMASKED.__contains__), default=None)


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


def _is_length(name: str) -> bool:
    return bool(LENGTHS.search(name)) and not NO_LENGTHS.search(name)


def _named(config: Any, names: Callable[[str], bool], name: str = "") -> Iterator[int]:
    """All whole numbers above 1 under some names, at any depth."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from _named(value, names, str(key))
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _named(value, names, name)
    elif names(name) and isinstance(config, int) and not isinstance(config, bool) and config > 1:
        yield config
