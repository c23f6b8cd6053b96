"""A transformers causal model as the engine needs it: trees in, hidden states out, cached prefixes."""

from __future__ import annotations

import contextlib
import inspect
import sys
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from transformers import DynamicCache

from lm_eval_calibration.scoring import attention
from lm_eval_calibration.scoring.contract import device_of
from lm_eval_calibration.scoring.head import text_config
from lm_eval_calibration.scoring.plan import PlannedRow, Prefix

KeyValues = dict[int, tuple[torch.Tensor, torch.Tensor]]
"""Keys and values (1, heads, P, size) by the number under which a layer keeps them."""


class PrefixCache(DynamicCache):
    """A cache that has a prefix's keys and values stand before those of every row.

    Args:
        before: the prefix's.
        keep: whether to keep those of both, at `kept`.
        joined: whether to put them into one tensor, or to leave the prefix's to `attention`.
    """

    def __init__(self, before: KeyValues, keep: bool = False, joined: bool = True) -> None:
        super().__init__()
        self.before, self.keep, self.joined = before, keep, joined
        self.kept: KeyValues = {}

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of the prefix and of the rows (B, heads, P + L, size), or of the rows."""
        if not self.joined:
            setattr(key_states, attention.PREFIX, self.before[layer_idx])
        elif self.before:
            keys, values = self.before[layer_idx]
            size = (len(key_states), -1, -1, -1)
            key_states = torch.cat([keys.expand(size), key_states], dim=2)
            value_states = torch.cat([values.expand(size), value_states], dim=2)
        if self.keep:
            self.kept[layer_idx] = (key_states, value_states)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many tokens the prefix has."""
        return len_before(self.before)


class Network:
    """The decoder of a causal language model.

    Args:
        model: e.g. a `LlamaForCausalLM`; in evaluation mode for evaluation.
        shared: whether rows read the prefix together, by the attention of ours.

    Raises:
        AttributeError, TypeError: the model has no decoder that takes positions, a mask and a
            cache; the engine then leaves it to the harness.
    """

    def __init__(self, model: Any, shared: bool = False) -> None:
        self.model, self.shared = model, shared
        decoder = model.get_decoder()
        self.decoder = model.base_model if decoder is model else decoder  # (transformers 4, GPT-2)
        self.windows = _windows(model.config)
        known = inspect.signature(self.decoder.forward).parameters
        self.cache_argument = "cache" if "cache" in known else "past_key_values"
        missing = {"position_ids", "attention_mask", self.cache_argument} - set(known)
        if missing:
            raise TypeError(f"its decoder takes no {', '.join(sorted(missing))}")
        self.device, self.dtype = device_of(model), next(self.decoder.parameters()).dtype

    def hidden(self, rows: Sequence[PlannedRow], before: KeyValues) -> torch.Tensor:
        """(B, L, H) last hidden states of rows that follow the same prefix, padded at the right."""
        tokens, depth, tree = self._padded(rows)
        start = len_before(before)
        if start and not torch.is_grad_enabled() and self.together(int(depth.max())):
            cache = PrefixCache(before, joined=False)
            return self._forward(tokens, depth, tree, cache, attention.SHARED)
        seen = torch.ones((*tree.shape[:2], start), dtype=torch.bool, device=self.device)
        return self._forward(tokens, depth, torch.cat([seen, tree], dim=2), PrefixCache(before))

    def begun(
        self, prompts: Sequence[NDArray[Any]], before: KeyValues
    ) -> tuple[torch.Tensor, KeyValues]:
        """(B, H) last hidden states of prompts that follow the same prefix, and the keys and values of all.

        Args:
            prompts: tokens of each beyond the prefix; one at least. They are padded at the right.
            before: the prefix's.
        """
        start, width = len_before(before), max(map(len, prompts))
        tokens = torch.zeros((len(prompts), width), dtype=torch.long)
        for line, prompt in zip(tokens, prompts, strict=True):
            line[: len(prompt)] = torch.as_tensor(prompt)
        positions = torch.arange(start, start + width, device=self.device).expand(len(prompts), -1)
        everything = torch.arange(start + width, device=self.device)
        cache = PrefixCache(before, keep=True)
        visible = everything <= positions[:, :, None]
        hidden = self._forward(tokens.to(self.device), positions, visible, cache)
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=hidden.device)
        return hidden[torch.arange(len(prompts), device=hidden.device), last], cache.kept

    def step(
        self, tokens: torch.Tensor, positions: torch.Tensor, cache: Any, apart: int = 0
    ) -> torch.Tensor:
        """(B, H) hidden states of one more token of each row, whose cache has all before.

        Args:
            tokens: (B,).
            positions: (B,) of the tokens in their rows.
            cache: with room for B rows of up to the furthest position, and that one.
            apart: tokens that all rows begin with and that the cache leaves to our attention.
        """
        there = torch.arange(apart, int(cache.get_seq_length()) + 1, device=self.device)
        distance = positions[:, None] - there
        masks = {
            kind: self._mask(((distance >= 0) & (distance < (window or sys.maxsize)))[:, None])
            for kind, window in self.windows.items()
        }
        ours = attention.implementation(self.decoder, attention.SHARED)
        with ours if apart else contextlib.nullcontext():
            output = self.run(tokens[:, None], positions[:, None], masks, cache)
        return output[:, -1]

    def together(self, length: int) -> bool:
        """Whether rows of up to so many tokens may read a prefix together."""
        narrow = min((w for w in self.windows.values() if w is not None), default=None)
        return self.shared and (narrow is None or length < narrow)

    def key_values(self, prefix: Prefix, before: KeyValues) -> KeyValues:
        """Keys and values of a prefix and all before it, from those before it."""
        start = len_before(before)
        count = len(prefix.tokens)
        tokens = torch.as_tensor(prefix.tokens, dtype=torch.long, device=self.device)[None]
        positions = torch.arange(start, start + count, device=self.device)[None]
        everything = torch.arange(start + count, device=self.device)
        cache = PrefixCache(before, keep=True)
        self._forward(tokens, positions, everything <= positions[0, :, None], cache)
        return cache.kept

    def _forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        visible: torch.Tensor,
        cache: Any,
        attend: str | None = None,
    ) -> torch.Tensor:
        """Run the decoder; `visible` (..., L, P + L) says which tokens each token sees."""
        with attention.implementation(self.decoder, attend):
            return self.run(tokens, positions, self._masks(positions, visible), cache)

    def run(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        masks: dict[str, torch.Tensor],
        cache: Any,
    ) -> torch.Tensor:
        """(B, L, H) last hidden states of tokens and positions (B, L), with the masks of each kind of layer."""
        output = self.decoder(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=masks if len(masks) > 1 else next(iter(masks.values())),
            use_cache=True,
            **{self.cache_argument: cache},
        )
        hidden: torch.Tensor = output.last_hidden_state
        return hidden

    def _masks(self, positions: torch.Tensor, visible: torch.Tensor) -> dict[str, torch.Tensor]:
        """What is added to the attention scores (B, 1, L, P + L), by kind of layer."""
        visible = visible.reshape(len(positions), positions.shape[1], -1)
        before = visible.shape[2] - positions.shape[1]
        past = torch.arange(before, device=self.device).expand(len(positions), before)
        distance = positions[:, :, None] - torch.cat([past, positions], dim=1)[:, None]
        return {
            kind: self._mask(visible if window is None else visible & (distance < window))
            for kind, window in self.windows.items()
        }

    def _mask(self, visible: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(visible.shape, dtype=self.dtype, device=self.device)
        return mask.masked_fill_(~visible, torch.finfo(self.dtype).min)[:, None]

    def _padded(
        self, rows: Sequence[PlannedRow]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tokens and positions (B, L), and which of its row each token sees (B, L, L), of a batch."""
        longest = max(map(len, rows))
        shape = (len(rows), longest)
        tokens = torch.zeros(shape, dtype=torch.long)
        depth = torch.zeros(shape, dtype=torch.long)
        end = torch.arange(1, longest + 1).repeat(len(rows), 1)  # padding is seen by itself alone
        for b, row in enumerate(rows):
            tokens[b, : len(row)] = torch.as_tensor(row.tokens)
            depth[b, : len(row)] = torch.as_tensor(row.depth)
            end[b, : len(row)] = torch.as_tensor(row.end)
        tokens, depth, end = (t.to(self.device) for t in (tokens, depth, end))
        i = torch.arange(longest, device=self.device)
        return tokens, depth, (i <= i[:, None]) & (i[:, None] < end[:, None, :])


def _windows(config: Any) -> dict[str, int | None]:
    """How far back each kind of layer sees; `None` for all the way."""
    config = text_config(config)
    window = getattr(config, "sliding_window", None)
    if not getattr(config, "use_sliding_window", True):
        window = None
    kinds = getattr(config, "layer_types", None)
    kinds = set(kinds or ["sliding_attention" if window else "full_attention"])
    if others := kinds - {"full_attention", "sliding_attention"}:
        raise TypeError(f"some of its layers are of the kind {', '.join(sorted(others))}")
    return {kind: window if kind == "sliding_attention" else None for kind in sorted(kinds)}


def len_before(before: KeyValues) -> int:
    """How many tokens cached keys and values are of."""
    return next(iter(before.values()))[0].shape[2] if before else 0
