"""What computes for `reproducible=true`: candidates whose numbers are each request's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lm_eval_calibration.models.shared.fixed_trust import FixedTrust, ends_paragraph, vocabulary_of
from lm_eval_calibration.models.shared.trust import Candidate, Expected
from lm_eval_calibration.scoring.apart import Apart
from lm_eval_calibration.scoring.checking import experts_of, unswitched_length
from lm_eval_calibration.scoring.continued_apart import (
    ContinuedAlone,
    ContinuedApart,
    StepwiseAlone,
    StepwiseApart,
)
from lm_eval_calibration.scoring.contract import Executor
from lm_eval_calibration.scoring.encoder_decoder import EncoderDecoderAlone
from lm_eval_calibration.scoring.one_by_one import OneByOne
from lm_eval_calibration.scoring.passages import Beginning

PASS_TOKENS = {"cpu": 512}
DEVICE_PASS_TOKENS = 4096
"""Tokens of a pass: a constant of the device, since it is part of the arithmetic."""


def pass_tokens(device: Any, given: int | None) -> int:
    """Tokens of a pass: the user's, or the device's."""
    return given or PASS_TOKENS.get(torch.device(device).type, DEVICE_PASS_TOKENS)


def trust_of(
    lm: Any, tokens: int, precision: torch.dtype, otherwise: Expected | None
) -> FixedTrust:
    """In what may answer in the place of a model of the harness.

    Args:
        lm: `hf-fast`.
        tokens: of a pass.
        precision: of the log-softmax.
        otherwise: as `Trust` has it.
    """
    decode = lm.tokenizer.decode
    beginning = ends_paragraph(lambda token: str(decode([token])))
    made = candidates(lm.model, lm.backend, lm.max_length, tokens, precision, beginning)
    blank = lm.tok_encode("\n\n", add_special_tokens=False)
    return FixedTrust(
        lm.model.config, lm.max_length, made, otherwise, blank, vocabulary_of(lm.model)
    )


def candidates(
    model: Any,
    backend: str,
    longest: int,
    tokens: int,
    precision: torch.dtype,
    beginning: Beginning,
) -> list[Candidate]:
    """The fastest first; the last ones compute each request by itself, and so can always be had."""

    def one(
        kind: str, make: Callable[..., Executor[Any]], limit: int | None = None, **more: Any
    ) -> Candidate:
        return Candidate(kind, lambda: make(model, longest, tokens, precision, **more), limit)

    if backend != "causal":
        return [one("inputs one by one after their encoder's pass", EncoderDecoderAlone)]
    switch, begun = unswitched_length(model.config), {"beginning": beginning}
    together = [
        one("passages apart in passes of one size", Apart, switch, **begun),
        one("inputs continued in steps of one shape", ContinuedApart, switch, **begun),
        one("inputs continued in steps of one token and one shape", StepwiseApart, switch, **begun),
    ]
    return [
        *([] if experts_of(model.config) else together),
        one("inputs continued one by one", ContinuedAlone, switch, **begun),
        one("inputs continued one by one, token by token", StepwiseAlone, switch, **begun),
        one("inputs one by one", OneByOne),
    ]
