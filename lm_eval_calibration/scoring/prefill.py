"""Prompts of one batch to generate from, of which every token that they share is computed once."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

LEAST = 16
"""Tokens at the beginning that are worth a pass of their own."""
CHECKED_ROWS = 4
EXACT, HALF = 1e-3, 0.5
"""How far the next token's log-probability may be from that of a plain pass, in nats."""


class Prefilled(NamedTuple):
    """A batch as `generate` continues it.

    tokens, mask: [row, position], padded between what the rows share and the rest; cache: keys and
    values of all positions but the last.
    """

    tokens: Tensor
    mask: Tensor
    cache: Any


class SharedPrompts:
    """Batches of prompts for one model, where it can be trusted with shared ones.

    The first batch's next tokens are compared with a plain pass.

    Attributes:
        reason: why prompts are not shared, if they are not.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        whole = reaches_back(model.config)
        self.reason = None if whole else "some of its layers do not attend to all positions"
        self._checked = False

    def begin(self, tokens: Tensor, mask: Tensor) -> Prefilled | None:
        """`prefill`, or `None` where it does not apply."""
        if self.reason is not None:
            return None
        try:
            begun = prefill(self.model, tokens, mask)
            if begun is not None and not self._checked:
                self._checked = True
                if not self._agrees(tokens, mask, begun):
                    self.reason = "shared and separate prompts disagree on this architecture"
        except torch.OutOfMemoryError:
            raise
        except (AttributeError, TypeError, ValueError, RuntimeError, KeyError) as error:
            self.reason = f"the model does not continue shared ones ({error})"
        return begun if self.reason is None else None

    @torch.inference_mode()
    def _agrees(self, tokens: Tensor, mask: Tensor, begun: Prefilled) -> bool:
        """Whether the next token of some rows is as likely as after a plain pass over them."""
        ours = self.model(
            begun.tokens[:, -1:],
            attention_mask=begun.mask,
            position_ids=_positions(begun.mask)[:, -1:],
            past_key_values=begun.cache,
        ).logits[:CHECKED_ROWS, -1]
        begun.cache.crop(-1)  # (as it was)
        some = mask[:CHECKED_ROWS]
        theirs = self.model(
            tokens[:CHECKED_ROWS], attention_mask=some, position_ids=_positions(some)
        ).logits[:, -1]
        likeliest = theirs.argmax(dim=-1, keepdim=True)
        gap = (_log_softmax(ours) - _log_softmax(theirs)).gather(1, likeliest).abs().max()
        exact = theirs.dtype in (torch.float32, torch.float64)
        return bool(gap <= (EXACT if exact else HALF))  # (NaN is no agreement)


def prefill(model: Any, tokens: Tensor, mask: Tensor) -> Prefilled | None:
    """Compute a batch of prompts: their common beginning once, equal rows once.

    Args:
        model: a decoder-only model of `transformers` whose attention reaches back to the beginning.
        tokens: [row, position], padded on the left.
        mask: likewise, 0 where padded.

    Returns:
        The computed batch, or `None` where rows share too little.
    """
    both = torch.stack([tokens, mask], dim=-1)
    rows, inverse = torch.unique(both, dim=0, return_inverse=True)
    shared = _common(rows[..., 0], rows[..., 1])
    shared = shared if shared >= LEAST and len(rows) > 1 else 0
    if not shared and len(rows) == len(tokens):
        return None
    tokens, mask = _pad_after(rows[..., 0], rows[..., 1], shared)
    with torch.inference_mode():
        cache = _computed(model, tokens, mask, shared)
    if len(rows) < len(inverse):
        cache.batch_select_indices(inverse)
    return Prefilled(tokens[inverse], mask[inverse], cache)


def reaches_back(config: Any) -> bool:
    """Whether every layer attends to all positions, wherever the padding is."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    kinds = getattr(text, "layer_types", None)
    if kinds is not None:
        return set(kinds) == {"full_attention"}
    return not getattr(text, "sliding_window", None)


def _computed(model: Any, tokens: Tensor, mask: Tensor, shared: int) -> Any:
    """Keys and values of all positions but the last."""
    positions = _positions(mask)
    cache, start, end = None, 0, tokens.shape[1] - 1
    if shared:
        cache = model(tokens[:1, :shared], use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(tokens))
        start = shared
    if end > start:
        cache = model(
            tokens[:, start:end],
            attention_mask=mask[:, :end],
            position_ids=positions[:, start:end],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).past_key_values
    return cache


def _common(tokens: Tensor, mask: Tensor) -> int:
    """Tokens that all rows begin with, at most one less than the shortest has."""
    lengths = mask.sum(dim=1).tolist()
    width = tokens.shape[1]
    most = min(lengths) - 1
    begun = torch.stack(
        [row[width - n : width - n + most] for row, n in zip(tokens, lengths, strict=True)]
    )
    differ = (begun != begun[0]).any(dim=0).nonzero()
    return int(differ[0]) if len(differ) else most


def _pad_after(tokens: Tensor, mask: Tensor, shared: int) -> tuple[Tensor, Tensor]:
    """The same rows with their padding moved behind what they share."""
    if not shared:
        return tokens, mask
    tokens, mask = tokens.clone(), mask.clone()
    for row, ones in zip(tokens, mask, strict=True):
        padding = len(row) - int(ones.sum())
        row[: shared + padding] = row[: shared + padding].roll(-padding)
        ones[: shared + padding] = ones[: shared + padding].roll(-padding)
    return tokens, mask


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def _log_softmax(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits.float(), dim=-1)
