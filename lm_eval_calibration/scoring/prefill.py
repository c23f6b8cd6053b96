"""Prompts of one batch to generate from, of which every token that they share is computed once."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import DynamicCache

from lm_eval_calibration.scoring.checking import unmasked_length
from lm_eval_calibration.scoring.head import arguments_of, text_config

LEAST = 16
"""Tokens at the beginning that are worth a pass of their own."""
CHECKED_ROWS = 4
EXACT, HALF = 1e-3, 0.5
"""How far the next token's log-probability may be from that of a plain pass, in nats."""


class Prefilled(NamedTuple):
    """A batch as `generate` continues it.

    tokens, mask: [row, position], padded between what the rows share and the rest; cache: keys and
    values of all positions but the last; kind: whether the rows share a beginning, whether some are
    equal, and whether some are padded (which some models count).
    """

    tokens: Tensor
    mask: Tensor
    cache: Any
    kind: tuple[bool, bool, bool]


class SharedPrompts:
    """Batches of prompts for one model, where it can be trusted with shared ones.

    The next tokens of the first batch of each kind are compared with a plain pass.

    Attributes:
        reason: why prompts are not shared, if they are not.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        whole = reaches_back(model.config) and unmasked_length(model.config) is None
        self.reason = None if whole else "some of its layers do not attend to all positions"
        self._checked: set[tuple[bool, bool, bool]] = set()

    def begin(self, tokens: Tensor, mask: Tensor) -> Prefilled | None:
        """`prefill`, or `None` where it does not apply."""
        if self.reason is not None:
            return None
        try:
            begun = prefill(self.model, tokens, mask)
            if begun is not None and begun.kind not in self._checked:
                self._checked.add(begun.kind)
                if not self._agrees(tokens, mask, begun):
                    self.reason = "shared and separate prompts disagree on this architecture"
        except (torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a model stumbles over, `hf` runs it
            self.reason = (
                f"the model does not continue shared ones ({type(error).__name__}: {error})"
            )
        return begun if self.reason is None else None

    @torch.inference_mode()
    def _agrees(self, tokens: Tensor, mask: Tensor, begun: Prefilled) -> bool:
        """Whether the next token of some rows is as likely as after a plain pass over them."""
        last = begun.tokens.shape[1] - 1
        ours = _forward(self.model, begun.tokens, begun.mask, begun.cache, last)[:CHECKED_ROWS]
        begun.cache.crop(-1)  # (as it was)
        some = slice(0, CHECKED_ROWS)
        theirs = _forward(self.model, tokens[some], mask[some], DynamicCache(), 0)
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
    first, place = _distinct(tokens, mask)
    shared = _common(tokens[first], mask[first])
    shared = shared if shared >= LEAST and len(first) > 1 else 0
    if not shared and len(first) == len(tokens):
        return None
    tokens, mask = _pad_after(tokens, mask, shared)
    with torch.inference_mode():
        cache = _computed(model, tokens[first], mask[first], shared)
    if len(first) < len(tokens):
        cache.batch_select_indices(place)
    return Prefilled(
        tokens, mask, cache, (bool(shared), len(first) < len(tokens), not bool(mask.all()))
    )


def _distinct(tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where each distinct row stands first, and which of these each row is."""
    numbers: dict[tuple[bytes, bytes], int] = {}
    keys = [
        (t.tobytes(), m.tobytes())
        for t, m in zip(tokens.cpu().numpy(), mask.cpu().numpy(), strict=True)
    ]
    place = [numbers.setdefault(key, len(numbers)) for key in keys]
    first = [place.index(number) for number in range(len(numbers))]
    return torch.tensor(first, device=tokens.device), torch.tensor(place, device=tokens.device)


def cache_argument(model: Any) -> str:
    """What a model calls the keys and values that it is given, by the version of transformers."""
    return "cache" if "cache" in arguments_of(model) else "past_key_values"


def reaches_back(config: Any) -> bool:
    """Whether every layer attends to all positions, wherever the padding is."""
    text = text_config(config)
    kinds = getattr(text, "layer_types", None)
    if kinds is not None:
        return set(kinds) == {"full_attention"}
    return not getattr(text, "sliding_window", None)


def _computed(model: Any, tokens: Tensor, mask: Tensor, shared: int) -> Any:
    """Keys and values of all positions but the last."""
    cache, end = DynamicCache(), tokens.shape[1] - 1
    if shared:
        _forward(model, tokens[:1, :shared], mask[:1, :shared], cache, 0)
        cache.batch_repeat_interleave(len(tokens))
    if end > shared:
        _forward(model, tokens[:, :end], mask[:, :end], cache, shared)
    return cache


def _forward(model: Any, tokens: Tensor, mask: Tensor, cache: Any, start: int) -> Tensor:
    """[row, vocabulary] logits of the last position; the cache holds those before `start`."""
    known = arguments_of(model)
    given = {
        "attention_mask": mask,
        "position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)[:, start:],
        "logits_to_keep": 1,
        "use_cache": True,
    }
    given = {name: value for name, value in given.items() if name in known}
    output = model(tokens[:, start:], **given, **{cache_argument(model): cache})
    return output.logits[:, -1]


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


def _log_softmax(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits.float(), dim=-1)
