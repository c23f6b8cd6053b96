"""What may compute in `hf`'s place, the fastest first: as fast as it goes, or the same bits in any company."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lm_eval_calibration.models.shared.beginnings import beginning_for
from lm_eval_calibration.models.shared.fixed_trust import FixedTrust
from lm_eval_calibration.models.shared.made_up import MadeUp, vocabulary_of
from lm_eval_calibration.models.shared.trust import Candidate, Expected, Trust
from lm_eval_calibration.scoring.apart import PassagesApart
from lm_eval_calibration.scoring.checking import (
    experts_of,
    named_lengths,
    unmasked_length,
    unswitched_length,
)
from lm_eval_calibration.scoring.continued import Continued, Stepwise
from lm_eval_calibration.scoring.continued_apart import (
    ContinuedAlone,
    ContinuedApart,
    StepwiseAlone,
    StepwiseApart,
)
from lm_eval_calibration.scoring.contract import Executor
from lm_eval_calibration.scoring.encoder_decoder import EncoderDecoder, EncoderDecoderAlone
from lm_eval_calibration.scoring.one_by_one import OneByOne
from lm_eval_calibration.scoring.packed import Packed, SharedPacked

BATCH_TOKENS = {"cpu": 2048}
DEVICE_BATCH_TOKENS = 16_384
PASS_TOKENS = {"cpu": 512}
DEVICE_PASS_TOKENS = 4096
"""Tokens of a reproducible pass: a constant of the device, since it is part of the arithmetic."""
One = Callable[..., Candidate]


def tokens_of(device: Any, given: int | None, reproducible: bool) -> int:
    """Tokens computed at a time: the user's, or the device's."""
    kind = torch.device(device).type
    if reproducible:
        return given or PASS_TOKENS.get(kind, DEVICE_PASS_TOKENS)
    return given or BATCH_TOKENS.get(kind, DEVICE_BATCH_TOKENS)


def trust_of(
    lm: Any, tokens: int, precision: torch.dtype, otherwise: Expected | None, reproducible: bool
) -> Trust:
    """In what may answer in the place of a model of the harness.

    Args:
        lm: `hf-fast`.
        tokens: computed at a time.
        precision: of the log-softmax.
        otherwise: as `Trust` has it.
        reproducible: whether numbers may hang on nothing but their own requests.
    """

    def one(
        kind: str, make: Callable[..., Executor[Any]], limit: int | None = None, **more: Any
    ) -> Candidate:
        made = lambda: make(lm.model, lm.max_length, tokens, precision, **more)  # noqa: E731
        return Candidate(kind, made, limit)

    if not reproducible:
        return Trust(lm.model.config, lm.max_length, _fast(lm, one), otherwise)
    candidates = _apart(lm, one)
    return FixedTrust(lm.model.config, lm.max_length, candidates, otherwise, made_up_for(lm))


def made_up_for(lm: Any) -> MadeUp:
    """On what a model of the harness is tried."""
    blank = lm.tok_encode("\n\n", add_special_tokens=False)
    lengths = [n for n in named_lengths(lm.model.config) if n < lm.max_length]
    return MadeUp(vocabulary_of(lm.model), blank, lm.max_length, lengths)


def _fast(lm: Any, one: One) -> list[Candidate]:
    if lm.backend != "causal":
        return [one("inputs that share an encoder's pass", EncoderDecoder)]
    switch, unmasked = unswitched_length(lm.model.config), unmasked_length(lm.model.config)
    packed = [
        one("packed inputs that read a prefix together", SharedPacked, switch),
        one("packed inputs", Packed, switch),
    ]
    if unmasked is not None and unmasked < lm.max_length:
        for candidate in packed:
            candidate.reason = f"its attention is local or in chunks beyond {unmasked} tokens, which trees cannot follow"
    return [
        *packed,
        one("inputs continued from a cache", Continued, switch),
        one("inputs continued token by token", Stepwise, switch),
    ]


def _apart(lm: Any, one: One) -> list[Candidate]:
    """The last ones compute each request by itself, and so can always be had."""
    if lm.backend != "causal":
        return [one("inputs one by one after their encoder's pass", EncoderDecoderAlone)]
    begun = {"beginning": beginning_for(lm.tokenizer)}
    switch = unswitched_length(lm.model.config)
    together = [
        one("passages apart in passes of one size", PassagesApart, switch, **begun),
        one("inputs continued in steps of one shape", ContinuedApart, switch, **begun),
        one("inputs continued in steps of one token and one shape", StepwiseApart, switch, **begun),
    ]
    return [
        *([] if experts_of(lm.model.config) else together),
        one("inputs continued one by one", ContinuedAlone, switch, **begun),
        one("inputs continued one by one, token by token", StepwiseAlone, switch, **begun),
        one("inputs one by one", OneByOne),
    ]
