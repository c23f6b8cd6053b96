"""Attention of a pass's passages, each by itself, and what is kept of those before them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
LONG = 128
"""Keys of a beginning that are worth a kernel of their own, for no copy of them is made then."""


@dataclass
class Company:
    """The passages of a pass, and what is kept of those before them.

    Attributes:
        slots: each passage, and where its tokens begin and end in the pass.
        size: tokens of the pass.
        masks: what is added to the scores (1, 1, n, S), by kind of layer and passage.
        windows: how far back each kind of layer sees; `None` for all the way.
        kinds: of the layers, by their numbers; else the only one.
        kept: keys and values (2, 1, heads, n, size) by layer and passage.
        attend: the implementation that computes a passage's attention.
    """

    slots: list[tuple[Passage, int, int]]
    size: int
    masks: dict[str, dict[int, Tensor]]
    windows: dict[str, int | None]
    kinds: dict[int, str]
    kept: dict[int, dict[int, Tensor]]
    attend: str
    here: dict[int, tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.here = {id(passage): (start, stop) for passage, start, stop in self.slots}

    def before(self, passage: Passage, layer: int, now: Tensor) -> list[Tensor]:
        """Keys and values of a passage's parents, the first of all first."""
        found = []
        for parent in passage.chain:
            if id(parent) in self.here:
                start, stop = self.here[id(parent)]
                found.append(now[:, :, :, start:stop])
            else:
                found.append(self.kept[layer][id(parent)])
        return found


class CompanyCache(DynamicCache):
    """Hands a pass's passages to the attention, and keeps of each what its children need.

    Args:
        company: the passages.
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
        kept = self.company.kept.setdefault(layer_idx, {})
        for passage, start, stop in self.company.slots:
            if passage.children:
                kept[id(passage)] = both[:, :, :, start:stop].clone()
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
    """What a layer calls: (1, T, heads, size) of queries (1, heads, T, size), each passage by itself."""
    company, layer, both = getattr(key, COMPANY)
    kind = company.kinds.get(layer, next(iter(company.masks)))
    narrow = company.windows[kind] is not None
    attend, masks = _attention(module, company.attend, query, narrow, options), company.masks[kind]
    parts = []
    for passage, start, stop in company.slots:
        chain = [*company.before(passage, layer, both), both[:, :, :, start:stop]]
        parts.append(attend(query[:, :, start:stop], chain, masks[id(passage)]))
    filled = sum(part.shape[1] for part in parts)
    rest = query.new_zeros((1, company.size - filled, query.shape[1], value.shape[-1]))
    return torch.cat([*parts, rest], dim=1), None


Attend = Callable[[Tensor, list[Tensor], Tensor], Tensor]
"""(1, n, heads, size) of a passage's queries (1, heads, n, size), keys and values (2, 1, heads, m, size) of its parents and
itself, and the mask (1, 1, n, S)."""


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

    def attend(own: Tensor, chain: list[Tensor], mask: Tensor) -> Tensor:
        keys, values = torch.cat(chain, dim=3)
        attended: Tensor = found(module, own, keys, values, mask, **options)[0]
        return attended

    return attend


def _plainly(
    query: Tensor, chain: list[Tensor], mask: Tensor, scale: float, narrow: bool
) -> Tensor:
    """One kernel; or one for a long beginning that all of the passage sees, and one for the rest."""
    long = chain[0].shape[3]
    if len(chain) > 1 and long >= LONG and not narrow:
        keys, values = torch.cat(chain[1:], dim=3) if len(chain) > 2 else chain[1]
        before = (chain[0][0], chain[0][1])
        out = attention.joined(query, before, keys, values, mask[..., long:], scale)
    else:
        keys, values = torch.cat(chain, dim=3) if len(chain) > 1 else chain[0]
        out = attention.partial(query, keys, values, mask, scale)[0]
    return out.transpose(1, 2)


AttentionInterface.register(APART, apart)
AttentionMaskInterface.register(APART, sdpa_mask)
