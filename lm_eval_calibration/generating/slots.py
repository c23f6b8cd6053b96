"""Keys and values of rows of different lengths, side by side, each token's where its row has got to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from transformers import DynamicCache

from lm_eval_calibration.generating.rows import TextRow
from lm_eval_calibration.scoring.attention import PREFIX
from lm_eval_calibration.scoring.network import KeyValues, len_before

BLOCK = 64
"""Tokens by which there is made room."""
GROWTH = 1.5


class Slots:
    """Tensors (S, heads, C, size) of keys and of values for each layer.

    Args:
        count: of rows, S.

    Attributes:
        room: of tokens, C.
    """

    def __init__(self, count: int) -> None:
        self.count, self.room = count, 0
        self.layers: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def put(self, slots: slice, begun: KeyValues, owner: int, tokens: slice) -> None:
        """Let slots begin with some tokens of one row of others' keys and values."""
        length = tokens.stop - tokens.start
        self.reach(length)
        for layer, (keys, values) in begun.items():
            if layer not in self.layers:
                self.layers[layer] = (self._empty(keys), self._empty(values))
            mine = self.layers[layer]
            mine[0][slots, :, :length] = keys[owner, :, tokens]
            mine[1][slots, :, :length] = values[owner, :, tokens]

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first tokens of a slot to another."""
        for layer in self.layers.values():
            for tensor in layer:
                tensor[target, :, :length] = tensor[source, :, :length]

    def reach(self, length: int) -> None:
        """Make room for so many tokens, and for some more."""
        if length <= self.room:
            return
        self.room = -(-max(length + 1, int(GROWTH * self.room)) // BLOCK) * BLOCK
        for layer, (keys, values) in self.layers.items():
            self.layers[layer] = (self._grown(keys), self._grown(values))

    def _empty(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros((self.count, like.shape[1], self.room, like.shape[3]))

    def _grown(self, tensor: torch.Tensor) -> torch.Tensor:
        larger = self._empty(tensor)
        larger[:, :, : tensor.shape[2]] = tensor
        return larger


def vacate(rows: list[TextRow], slots: Slots, places: Iterable[int], apart: int = 0) -> None:
    """Take rows away; the last ones take their slots.

    Args:
        rows: in the first slots.
        slots: of their keys and values.
        places: of those that go.
        apart: tokens of each row that stand elsewhere.
    """
    for place in sorted(places, reverse=True):
        last = rows.pop()
        if place < len(rows):
            slots.move(len(rows), place, last.read - apart)
            rows[place] = last


class StepCache(DynamicCache):
    """What the layers write a step's keys and values to, and read all before from.

    Args:
        slots: of which the first B are written to.
        places: (B,) where the step's tokens stand in their slots.
        width: tokens of a slot that are read, the furthest place included.
        before: keys and values (1, heads, P, size) that all rows begin with, left to our attention.
    """

    def __init__(
        self, slots: Slots, places: torch.Tensor, width: int, before: KeyValues | None = None
    ) -> None:
        super().__init__()
        self.slots, self.width, self.before = slots, width, before or {}
        self._at: dict[torch.device, tuple[torch.Tensor, torch.Tensor]] = {}
        self._places = places

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values (B, heads, W, size) with those of the step (B, heads, 1, size)."""
        keys, values = self.slots.layers[layer_idx]
        rows, places = self._where(keys.device)
        keys[rows, :, places] = key_states[:, :, 0]
        values[rows, :, places] = value_states[:, :, 0]
        count = len(rows)
        if self.before:
            setattr(key_states := keys[:count, :, : self.width], PREFIX, self.before[layer_idx])
            return key_states, values[:count, :, : self.width]
        return keys[:count, :, : self.width], values[:count, :, : self.width]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before the step's, of the longest row."""
        return len_before(self.before) + self.width - 1

    def _where(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        if device not in self._at:
            places = self._places.to(device)
            self._at[device] = (torch.arange(len(places), device=device), places)
        return self._at[device]
