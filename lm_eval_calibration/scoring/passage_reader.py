"""Passages read in passes of one size, each attending by itself, and what is kept of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lm_eval_calibration.scoring import attention
from lm_eval_calibration.scoring.company import APART, Company, CompanyCache, PassageCompany
from lm_eval_calibration.scoring.network import Network
from lm_eval_calibration.scoring.passages import Passage


class PassageReader:
    """The decoder of a model, in passes of one size, of which each part attends by itself.

    Args:
        model: as `Network` takes it.
        size: tokens of a pass of passages.
    """

    def __init__(self, model: Any, size: int) -> None:
        self.network, self.size = Network(model), size
        config = self.network.decoder.config
        plain = config._attn_implementation
        self.attend = plain if plain in attention.MASKED else "sdpa"
        kinds = getattr(config, "layer_types", None) or []
        self.kinds = dict(enumerate(kinds)) if len(self.network.windows) > 1 else {}

    def company(
        self, batch: Sequence[Passage], kept: dict[int, dict[int, Tensor]]
    ) -> PassageCompany:
        """A pass of passages.

        Args:
            batch: whose parents are among them, or were read.
            kept: keys and values of these, by layer and passage; those of the pass are added.
        """
        slots, stop = [], 0
        for passage in batch:
            slots.append((passage, stop, stop + len(passage.tokens)))
            stop += len(passage.tokens)
        windows = self.network.windows
        masks = {
            kind: {id(passage): self._mask(passage, window) for passage in batch}
            for kind, window in windows.items()
        }
        return PassageCompany(self.size, windows, self.kinds, self.attend, slots, masks, kept)

    def read(self, company: PassageCompany) -> Tensor:
        """(T, H) last states of a pass's tokens."""
        tokens = torch.zeros(company.size, dtype=torch.long)
        positions = torch.zeros(company.size, dtype=torch.long)
        for passage, start, stop in company.slots:
            tokens[start:stop] = torch.as_tensor(passage.tokens)
            positions[start:stop] = torch.arange(passage.start, passage.end)
        return self.states(tokens, positions, company)

    def states(self, tokens: Tensor, positions: Tensor, company: Company) -> Tensor:
        """(T, H) last states of tokens (T,) at positions (T,)."""
        device = self.network.device
        nothing = torch.zeros((1, 1, 1, 1), dtype=self.network.dtype, device=device)
        masks = dict.fromkeys(self.network.windows, nothing)
        with attention.implementation(self.network.decoder, APART):
            return self.network.run(
                tokens[None].to(device), positions[None].to(device), masks, CompanyCache(company)
            )[0]

    def _mask(self, passage: Passage, window: int | None) -> Tensor:
        """(1, 1, n, S) that hides what comes later, and what is out of the window's reach."""
        device, dtype = self.network.device, self.network.dtype
        position = torch.arange(passage.start, passage.end, device=device)
        distance = position[:, None] - torch.arange(passage.end, device=device)
        hidden = (distance < 0) | (distance >= (window or sys.maxsize))
        mask = torch.zeros(distance.shape, dtype=dtype, device=device)
        return mask.masked_fill_(hidden, torch.finfo(dtype).min)[None, None]


class PassageMemory:
    """Keys, values and states of passages that have been read, until nothing more follows them."""

    def __init__(self) -> None:
        self.keys_values: dict[int, dict[int, Tensor]] = {}
        self.states: dict[int, Tensor] = {}
        self._left: dict[int, int] = {}

    def keep(self, company: PassageCompany, hidden: Tensor) -> None:
        """The states of what is followed: of a continuation all, else the last."""
        for passage, start, stop in company.slots:
            if passage.children:
                first = start if passage.scored else stop - 1
                self.states[id(passage)] = hidden[first:stop].clone()
                self._left[id(passage)] = passage.children

    def leave(self, passage: Passage) -> None:
        """One that followed it no longer needs it."""
        self._left[id(passage)] -= 1

    def forget(self, batch: Sequence[Passage]) -> None:
        """What nothing follows any more."""
        for passage in batch:
            one: Passage | None = passage
            while one is not None and not self._left.get(id(one), 0):
                for kept in (*self.keys_values.values(), self.states, self._left):
                    kept.pop(id(one), None)
                one = one.parent
                if one is not None:
                    self._left[id(one)] -= 1
