"""Prompts that share tokens are continued as separate ones are, in every architecture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from lm_eval_calibration.scoring import prefill as module
from lm_eval_calibration.scoring.prefill import (
    SharedPrompts,
    cache_argument,
    prefill,
)

SHARED = [7, 3, 9, 4] * 6
BATCHES = {
    "beginning": [[*SHARED, 5], [*SHARED, 6, 8, 2, 11], [*SHARED, 6, 8, 9]],
    "equal": [[5, 6, 7, 8], [5, 6, 7, 8], [9, 10], [5, 6, 7, 8]],
    "both": [[*SHARED, 5], [*SHARED, 6, 8, 2], [*SHARED, 5], [*SHARED, 12, 13]],
    "one prompt": [[5, 6, 7]] * 3,
    "one token": [[5]] * 3,
    "one within another": [[*SHARED, 4, 4], SHARED, [*SHARED, 4]],
}
SHARES = ["llama", "qwen2", "gpt2", "bloom"]
LEFT_ALONE = ["gemma3", "mistral", "mamba"]


def batch(rows: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Padded on the left, by a token that prompts have too."""
    width = max(map(len, rows))
    tokens = torch.tensor([[9] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return tokens, mask


def continued(model: Any, tokens: torch.Tensor, mask: torch.Tensor, **settings: Any) -> Any:
    torch.manual_seed(1)
    found = model.generate(
        tokens, attention_mask=mask, max_new_tokens=6, min_new_tokens=6, pad_token_id=9, **settings
    )
    return found[:, tokens.shape[1] :].tolist()


@pytest.mark.parametrize("sample", [False, True])
@pytest.mark.parametrize("case", BATCHES)
@pytest.mark.parametrize("name", SHARES)
def test_continued_as_separate_ones(
    tiny: Callable[[str], Any], name: str, case: str, sample: bool
) -> None:
    model, (tokens, mask) = tiny(name), batch(BATCHES[case])
    expected = continued(model, tokens, mask, do_sample=sample)
    shared = SharedPrompts(model)
    begun = shared.begin(tokens, mask)
    assert begun is not None and shared.reason is None
    assert begun.mask.sum(dim=1).tolist() == [len(row) for row in BATCHES[case]]
    found = continued(
        model, begun.tokens, begun.mask, do_sample=sample, **{cache_argument(model): begun.cache}
    )
    assert found == expected


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_other_architectures_are_left_alone(tiny: Callable[[str], Any], name: str) -> None:
    shared = SharedPrompts(tiny(name))
    assert shared.begin(*batch(BATCHES["both"])) is None
    assert shared.reason is not None


def test_nothing_is_shared_where_there_is_nothing_to_share(tiny: Callable[[str], Any]) -> None:
    tokens, mask = batch([[5, 6, 7], [5, 6, 8], [9]])
    assert prefill(tiny("llama"), tokens, mask) is None


def test_every_shared_token_is_computed_once(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sizes, forward = tiny("llama"), [], module._forward
    monkeypatch.setattr(
        module,
        "_forward",
        lambda model, ids, *rest: (
            sizes.append(ids[:, rest[-1] :].shape) or forward(model, ids, *rest)
        ),
    )
    prefill(model, *batch([[*SHARED, 5, 6], [*SHARED, 8, 9], [*SHARED, 5, 6], [*SHARED, 1, 2]]))
    assert sizes == [(1, 24), (3, 1)]


def test_a_model_that_disagrees_is_not_trusted(
    tiny: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_pad_after", lambda tokens, mask, shared: (tokens + 1, mask))
    shared = SharedPrompts(tiny("llama"))
    assert shared.begin(*batch(BATCHES["beginning"])) is None
    assert shared.reason == "shared and separate prompts disagree on this architecture"
