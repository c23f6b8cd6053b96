"""How texts may be written in `hf`'s place, the fastest first: as fast as it goes, or the same bits in any company."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from lm_eval_calibration.generating.contract import Writer
from lm_eval_calibration.generating.lockstep import Lockstep, Unshared
from lm_eval_calibration.generating.lockstep_apart import (
    LockstepApart,
    TextsAlone,
    UnbegunAlone,
    UnbegunApart,
)
from lm_eval_calibration.generating.rows_apart import RowsApart
from lm_eval_calibration.generating.side_by_side import SharedSideBySide, SideBySide
from lm_eval_calibration.models.shared.beginnings import beginning_for
from lm_eval_calibration.models.shared.candidates import made_up_for
from lm_eval_calibration.models.shared.fixed_generation import FixedGeneration
from lm_eval_calibration.models.shared.generation import Generation, Way
from lm_eval_calibration.models.shared.trust import Expected
from lm_eval_calibration.scoring.checking import experts_of, unmasked_length, unswitched_length

ROWS = {"cpu": 32}
DEVICE_ROWS = 64
"""Rows of a reproducible step: a constant of the device, since it is part of the arithmetic."""


def rows_of(device: Any, given: int | None) -> int:
    """Rows of a reproducible step: the user's, or the device's."""
    return given or ROWS.get(torch.device(device).type, DEVICE_ROWS)


def generation_of(
    lm: Any,
    tokens: int,
    rows: int | None,
    expected: Expected,
    otherwise: Expected | None,
    reproducible: bool,
) -> Generation:
    """What writes in the place of a model of the harness; encoder-decoders are left to it.

    Args:
        lm: `hf-fast`.
        tokens: of prompts that are read at a time.
        rows: texts that are written at a time.
        expected: as `Generation` has it.
        otherwise: as `Generation` has it.
        reproducible: whether a text may hang on nothing but its own request.
    """
    causal = lm.backend == "causal"
    if not reproducible:
        return Generation(lm, _fast(lm, tokens, rows) if causal else [], expected, otherwise)
    ways = _apart(lm, tokens, rows_of(lm.device, rows)) if causal else []
    return FixedGeneration(lm, ways, expected, otherwise, made_up_for(lm))


def _limits(config: Any) -> tuple[int | None, int | None]:
    """Up to how many tokens a way may write: by a cache of the model's own, and by masks of ours; `None` for any."""
    switch = unswitched_length(config)
    known = [n for n in (switch, unmasked_length(config)) if n is not None]
    return switch, min(known, default=None)


def _fast(lm: Any, tokens: int, rows: int | None) -> list[Way]:
    switch, masked = _limits(lm.model.config)

    def way(kind: str, writer: type[Writer], limit: int | None) -> Way:
        return Way(kind, lambda: writer(lm.model, tokens, rows), limit)

    return [
        way("rows that read a beginning together", SharedSideBySide, masked),
        way("rows of different lengths", SideBySide, masked),
        way("rows of one length", Lockstep, switch),
        way("rows of one length, each prompt by itself", Unshared, switch),
    ]


def _apart(lm: Any, tokens: int, rows: int) -> list[Way]:
    switch, masked = _limits(lm.model.config)
    beginning = beginning_for(lm.tokenizer)

    def way(kind: str, writer: Callable[..., Writer], limit: int | None = switch) -> Way:
        return Way(kind, partial(writer, lm.model, tokens, rows, beginning), limit)

    together = [
        way("rows apart in steps of one shape", RowsApart, masked),
        way("samples of a prompt in steps of one shape", LockstepApart),
        way("samples of a prompt in steps of one shape, each prompt whole", UnbegunApart),
    ]
    return [
        *([] if experts_of(lm.model.config) else together),
        way("texts one by one", TextsAlone),
        way("texts one by one, each prompt whole", UnbegunAlone),
    ]
