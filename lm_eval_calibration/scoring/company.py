"""Attention of the parts of a pass, each by itself, and what is kept of those before them."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.masking_utils import sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from lm_eval_calibration.scoring import attention
from lm_eval_calibration.scoring.passages import Passage

APART = "calibration_apart"
"""The name under which models of transformers find our attention."""
COMPANY = "_calibration_company"
"""The attribute of a pass's keys that holds its passages, and the layer's number."""
KeysValues: TypeAlias = Tensor | tuple[Tensor, ...]
"""Keys and values (B, heads, n, size), as a pair or in one tensor."""
LONG = 128
"""Keys of a beginning that are worth a kernel of their own, for no copy of them is made then."""


@dataclass
class Company(ABC):
    """What attends in a pass, each part of it by itself.

    Attributes:
        size: tokens of the pass.
        windows: how far back each kind of layer sees; `None` for all the way.
        kinds: of the layers, by their numbers; else the only one.
        attend: the implementation that computes a part's attention.
    """

    size: int
    windows: dict[str, int | None]
    kinds: dict[int, str]
    attend: str

    def kind(self, layer: int) -> str:
        """Of a layer."""
        return self.kinds.get(layer, next(iter(self.windows)))

    @abstractmethod
    def keep(self, layer: int, now: Tensor) -> None:
        """Of the pass's own keys and values (2, 1, heads, T, size) what others will need."""

    @abstractmethod
    def parts(self, layer: int, now: Tensor) -> Iterator[AttendingPart]:
        """One after the other, from the pass's first token on."""


class AttendingPart(NamedTuple):
    """Tokens of a pass that attend by themselves.

    stop: where they end; they begin where the last one's end. keys_values: (2, B, heads, m, size) or pairs of what
    comes before them, the first of all first, and of their own: of one row, or of each token's own row. mask: what is
    added to their scores (1, 1, n, S); `None` for nothing.
    """

    stop: int
    keys_values: Sequence[KeysValues]
    mask: Tensor | None


@dataclass
class PassageCompany(Company):
    """The passages of a pass, and what is kept of those before them.

    Attributes:
        slots: each passage, and where its tokens begin and end in the pass.
        masks: what is added to the scores (1, 1, n, S), by kind of layer and passage.
        kept: keys and values (2, 1, heads, n, size) by layer and passage.
    """

    slots: list[tuple[Passage, int, int]]
    masks: dict[str, dict[int, Tensor]]
    kept: dict[int, dict[int, Tensor]]
    here: dict[int, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.here = {id(passage): (start, stop) for passage, start, stop in self.slots}

    def keep(self, layer: int, now: Tensor) -> None:
        """Those of passages that others follow."""
        kept = self.kept.setdefault(layer, {})
        for passage, start, stop in self.slots:
            if passage.children:
                kept[id(passage)] = now[:, :, :, start:stop].clone()

    def parts(self, layer: int, now: Tensor) -> Iterator[AttendingPart]:
        """The passages."""
        masks = self.masks[self.kind(layer)]
        for passage, start, stop in self.slots:
            chain = [*self._before(passage, layer, now), now[:, :, :, start:stop]]
            yield AttendingPart(stop, chain, masks[id(passage)])

    def _before(self, passage: Passage, layer: int, now: Tensor) -> Iterator[Tensor]:
        """Keys and values of a passage's parents, the first of all first."""
        for parent in passage.chain:
            if id(parent) in self.here:
                start, stop = self.here[id(parent)]
                yield now[:, :, :, start:stop]
            else:
                yield self.kept[layer][id(parent)]


class CompanyCache(DynamicCache):
    """Hands a pass's company to the attention, and keeps what others will need.

    Args:
        company: what attends.
    """

    def __init__(self, company: Company) -> None:
        super().__init__()
        self.company = company

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_: Any, **__: Any
    ) -> tuple[Tensor, Tensor]:
        """The pass's own (1, heads, T, size)."""
        both = torch.stack([key_states, value_states])
        setattr(key_states, COMPANY, (self.company, layer_idx, both))
        self.company.keep(layer_idx, both)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing that all tokens see."""
        return 0


def apart(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    **options: Any,
) -> tuple[Tensor, None]:
    """What a layer calls: (1, T, heads, size) of queries (1, heads, T, size), each part by itself."""
    company, layer, both = getattr(key, COMPANY)
    narrow = company.windows[company.kind(layer)] is not None
    attend = _attention(module, company.attend, query, narrow, options)
    found, start = [], 0
    for part in company.parts(layer, both):
        own = query[:, :, start : part.stop]
        rows = len(part.keys_values[0][0])
        if rows > 1:
            own = own.reshape(query.shape[1], rows, 1, -1).transpose(0, 1)
        attended = attend(own, part.keys_values, part.mask)
        found.append(attended.reshape(1, -1, *attended.shape[2:]))
        start = part.stop
    rest = query.new_zeros((1, company.size - start, query.shape[1], value.shape[-1]))
    return torch.cat([*found, rest], dim=1), None


Attend = Callable[[Tensor, Sequence[KeysValues], Tensor | None], Tensor]
"""(1, n, heads, size) of a part's queries (1, heads, n, size), and of its keys, values and mask."""


def _attention(
    module: Any, name: str, query: Tensor, narrow: bool, options: dict[str, Any]
) -> Attend:
    """The layer's own function on a passage; of plain attention the kernel that it calls, without copies."""
    scale = options.get("scaling") or query.shape[-1] ** -0.5
    asked = ("softcap", "s_aux", "dropout", "position_bias", "sinks")
    if name == "sdpa" and not any(options.get(key) is not None and options[key] for key in asked):
        return lambda own, chain, mask: _plainly(own, chain, mask, float(scale), narrow)
    plain = getattr(sys.modules[type(module).__module__], "eager_attention_forward", None)
    found: Any = ALL_ATTENTION_FUNCTIONS.get(name, plain)
    if found is None:
        raise NotImplementedError(f"its attention cannot be computed by `{name}`")

    def attend(own: Tensor, chain: Sequence[KeysValues], mask: Tensor | None) -> Tensor:
        keys, values = joined(chain)
        attended: Tensor = found(module, own, keys, values, mask, **options)[0]
        return attended

    return attend


def _plainly(
    query: Tensor, chain: Sequence[KeysValues], mask: Tensor | None, scale: float, narrow: bool
) -> Tensor:
    """One kernel; or one for a long beginning that all of the part sees, and one for the rest."""
    keys, values = chain[0]
    long = keys.shape[2]
    if len(chain) > 1 and long >= LONG and not narrow and mask is not None:
        rest = joined(chain[1:])
        out = attention.joined(query, (keys, values), *rest, mask[..., long:], scale)
    else:
        out = attention.to_rows(query, *joined(chain), mask, scale)[0]
    return out.transpose(1, 2)


def joined(chain: Sequence[KeysValues]) -> tuple[Tensor, Tensor]:
    """Keys and values (1, heads, S, size), one after the other."""
    keys, values = zip(*chain, strict=True)
    if len(chain) == 1:
        return keys[0], values[0]
    return torch.cat(keys, dim=2), torch.cat(values, dim=2)


AttentionInterface.register(APART, apart)
AttentionMaskInterface.register(APART, sdpa_mask)
