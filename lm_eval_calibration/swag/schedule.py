"""Learning rates and snapshots, step by step."""

from __future__ import annotations

from math import ceil
from typing import Any, NamedTuple

import torch
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, SequentialLR
from torch.optim.swa_utils import SWALR

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.swag.settings import SwagSettings


class Steps(NamedTuple):
    """A training in steps: of an epoch, when snapshots begin, in all, and after which they are."""

    epoch: int
    start: int
    total: int
    snapshots: tuple[int, ...]


def steps(settings: SwagSettings, documents: int) -> Steps:
    """The steps of a training on so many documents.

    Raises:
        InvalidInputError: fewer snapshots than deviations are kept.
    """
    epoch = ceil(documents / settings.batch_size)
    start, span = settings.epochs * epoch, settings.swag_epochs * epoch
    wanted = settings.snapshots
    taken = tuple(sorted({start + round((i + 1) * span / wanted) for i in range(wanted)} - {start}))
    if len(taken) < settings.rank:
        raise InvalidInputError(
            f"`rank` must be at most the number of snapshots, got {settings.rank} for "
            f"{len(taken)} of them ({span} steps of {settings.batch_size} documents). Take a lower "
            "--rank, or more --swag_epochs or --snapshots_per_epoch."
        )
    return Steps(epoch, start, start + span, taken)


def learning_rates(optimizer: Any, settings: SwagSettings, plan: Steps) -> LRScheduler:
    """Warm-up and linear decay, then torch's `SWALR`; `optimizer` has `learning_rate`."""
    warmup = settings.warmup_epochs * plan.epoch
    last = settings.decayed_learning_rate / (settings.learning_rate or 1)

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        return 1 + (last - 1) * (step - warmup) / max(plan.start - warmup, 1)

    swalr = _Annealing(
        optimizer,
        swa_lr=settings.swag_learning_rate,
        anneal_epochs=round(settings.anneal_epochs * plan.epoch),
        anneal_strategy="linear",
    )
    for group in optimizer.param_groups:  # (which `SWALR` changed at once)
        group["lr"] = group["initial_lr"]
    return SequentialLR(optimizer, [LambdaLR(optimizer, factor), swalr], [plan.start])


class _Annealing(SWALR):
    """`SWALR` whose state is numbers alone, as a training that goes on may read it."""

    def state_dict(self) -> dict[str, Any]:
        """Without the function, which the arguments name."""
        return {name: value for name, value in super().state_dict().items() if not callable(value)}


def optimizer_of(parameters: list[torch.nn.Parameter], settings: SwagSettings) -> torch.optim.AdamW:
    """AdamW over the trainable weights."""
    return torch.optim.AdamW(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
