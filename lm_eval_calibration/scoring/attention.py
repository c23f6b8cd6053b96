"""Attention of many rows to one prefix and to themselves, where the prefix is read once for all rows.

Both parts are joined by the logarithms of their normalizers, as Hydragen has it (Juravsky et al.,
2024, section 3).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

SHARED = "calibration_shared_prefix"
"""The name under which models of transformers find it."""
PREFIX = "_calibration_prefix"
"""The attribute of a row's keys that holds the prefix's keys and values (1, heads, P, size)."""
MASKED = ("eager", "sdpa", SHARED)
"""Implementations that take an additive mask (B, 1, L, P + L); others may abort the process."""


@contextmanager
def implementation(decoder: Any, name: str | None = None) -> Iterator[None]:
    """Inside, the layers of a decoder attend by an implementation, or by one that takes our masks."""
    configs = {id(m.config): m.config for m in decoder.modules() if hasattr(m, "config")}
    before = {key: config._attn_implementation for key, config in configs.items()}
    safe = "sdpa" if getattr(decoder, "_supports_sdpa", False) else "eager"
    try:
        for key, config in configs.items():
            if name or before[key] not in MASKED:
                config._attn_implementation = name or safe
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation = before[key]


def shared_prefix(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor,
    scaling: float | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """What a layer calls: (B, L, heads, size) of queries (B, heads, L, size).

    Args:
        module: the layer.
        query: of the rows.
        key: of the rows (B, fewer heads, L, size), with the prefix's at the attribute `PREFIX`.
        value: of the rows.
        attention_mask: additive (B, 1, L, L), of the rows alone.
        scaling: of the scores.
        dropout: none.
        softcap: none.
        s_aux: (heads,) sinks, scores of nothing.

    Raises:
        NotImplementedError: a model that asks for something else.
    """
    before: tuple[Tensor, Tensor] | None = getattr(key, PREFIX, None)
    if before is None or softcap or dropout or attention_mask is None:
        raise NotImplementedError("its attention asks for more than a prefix and rows")
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    out = joined(query, before, key, value, attention_mask.to(query.dtype), scale, s_aux)
    return out.transpose(1, 2).contiguous(), None


def joined(
    query: Tensor,
    before: tuple[Tensor, Tensor],
    key: Tensor,
    value: Tensor,
    mask: Tensor,
    scale: float,
    sinks: Tensor | None = None,
) -> Tensor:
    """Attention (B, heads, L, size) to a prefix that all see, and to rows of their own.

    Args:
        query: (B, heads, L, size).
        before: the prefix's keys and values (1, fewer heads, P, size).
        key: of the rows (B, fewer heads, S, size).
        value: of the rows.
        mask: additive (B, 1, L, S), of the rows alone.
        scale: of the scores.
        sinks: (heads,) scores of nothing.
    """
    parts = [_to_prefix(query, *before, scale), to_rows(query, key, value, mask, scale)]
    total = torch.logaddexp(parts[0][1], parts[1][1])
    if sinks is not None:
        total = torch.logaddexp(total, sinks.float().reshape(1, -1, 1))
    out = sum(o * (log - total).exp()[..., None].to(o.dtype) for o, log in parts)
    assert isinstance(out, Tensor)
    return out


def _to_prefix(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """All rows' queries, and those of all heads that share keys, as one row's."""
    batch, heads, length, size = query.shape
    groups = heads // key.shape[1]
    rows = query.reshape(batch, key.shape[1], groups * length, size).transpose(0, 1)
    out, log = partial(rows.reshape(1, key.shape[1], -1, size), key, value, None, scale)
    out = out.reshape(key.shape[1], batch, groups * length, -1).transpose(0, 1)
    log = log.reshape(key.shape[1], batch, groups * length).transpose(0, 1)
    return out.reshape(batch, heads, length, -1), log.reshape(batch, heads, length)


def to_rows(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Each row's queries to its own keys; of one token the heads that share keys go as its tokens."""
    batch, heads, length, size = query.shape
    groups = heads // key.shape[1]
    if length > 1 or groups == 1:
        return partial(query, key, value, mask, scale)
    packed = query.reshape(batch, key.shape[1], groups, size)
    mask = None if mask is None else mask.expand(-1, -1, groups, -1)
    out, log = partial(packed, key, value, mask, scale)
    return out.reshape(batch, heads, 1, -1), log.reshape(batch, heads, 1)


def partial(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Attention (B, heads, L, size), and the log of its normalizer (B, heads, L) in float32."""
    if query.device.type == "cpu":
        out, log = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, False, attn_mask=mask, scale=scale
        )
        return out, log
    groups = query.shape[1] // key.shape[1]
    key, value = (t.repeat_interleave(groups, dim=1) if groups > 1 else t for t in (key, value))
    out, log, *_ = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, _aligned(mask, query), True, 0.0, False, scale=scale
    )
    return out, log[:, :, : query.shape[2]]


def _aligned(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """A mask for all heads whose lines begin at multiples of 16 elements, as kernels want it."""
    if mask is None:
        return None
    width = mask.shape[-1]
    room = mask.new_zeros((*mask.shape[:-1], (width + 15) // 16 * 16))
    room[..., :width] = mask
    return room[..., :width].expand(-1, query.shape[1], -1, -1)


AttentionInterface.register(SHARED, shared_prefix)
AttentionMaskInterface.register(SHARED, sdpa_mask)
