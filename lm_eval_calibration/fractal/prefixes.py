"""States of a language model at the ends of texts, where a text that begins another costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

AT_ONCE = 2048
"""Tokens that are computed at a time."""


def reads_in_order(model: Any) -> bool:
    """Whether a sentence-transformers model is a bare language model: the state at the last token.

    Then the states of a text's beginnings are states within it.
    """
    parts = (
        [type(part).__name__ for part in model] if isinstance(model, torch.nn.Sequential) else []
    )
    return (
        parts == ["Transformer", "Pooling"]
        and getattr(model[1], "pooling_mode", None) == "lasttoken"
        and not getattr(model[0].auto_model.config, "is_encoder_decoder", False)
    )


def last_states(model: Any, texts: Sequence[str]) -> NDArray[np.float32]:
    """(N, D) the last layer's state at the last token of each text.

    Args:
        model: for which `reads_in_order` holds.
        texts: N of them; what exceeds the model's length is cut off at the end.
    """
    cut = {"truncation": True, "max_length": model.max_seq_length} if model.max_seq_length else {}
    tokens = [tuple(ids) or (0,) for ids in model.tokenizer(list(texts), **cut)["input_ids"]]
    within = _longest(tokens)
    found: dict[tuple[int, ...], NDArray[np.float32]] = {}
    for batch in _batches(sorted(set(within.values()), key=len)):
        states = _states(model[0].auto_model, batch)
        for text, row in zip(batch, states, strict=True):
            beginnings = [one for one, whole in within.items() if whole == text]
            found |= {one: row[len(one) - 1].float().numpy() for one in beginnings}
    return np.stack([found[one] for one in tokens])


def _longest(tokens: Sequence[tuple[int, ...]]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Of each text one that it begins and that begins no other."""
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    after: tuple[int, ...] | None = None
    for one in sorted(set(tokens), reverse=True):  # (a beginning comes right after what it begins)
        begins = after is not None and after[: len(one)] == one
        found[one] = found[after] if begins and after is not None else one
        after = one
    return found


def _batches(texts: Sequence[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Rows of like lengths, together of at most `AT_ONCE` tokens, or one."""
    batch: list[tuple[int, ...]] = []
    for text in texts:
        if batch and len(text) * (len(batch) + 1) > AT_ONCE:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


@torch.no_grad()
def _states(network: Any, batch: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """(B, T, D) on the CPU, padded on the right, where nothing that counts can see it."""
    longest = max(map(len, batch))
    ids = torch.zeros(len(batch), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(batch):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    place = next(network.parameters()).device
    states = network(input_ids=ids.to(place), attention_mask=mask.to(place)).last_hidden_state
    return states.cpu()
