"""Hyper-parameters of a SWAG-LoRA training, and the published set."""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import isfinite

from lm_eval_calibration.errors import invalid


@dataclass(frozen=True)
class SwagSettings:
    """How LoRA weights are trained, and when their snapshots are taken.

    First `epochs` as usual: a warm-up, then a linear decay. Then `swag_epochs` at a learning rate
    that is annealed to `swag_learning_rate` and stays there, of which snapshots are taken.

    Attributes:
        lora_rank, lora_alpha, lora_dropout: of `peft.LoraConfig`.
        target_modules: names of the layers that are adapted, comma-separated; "" for those that
            peft adapts in this architecture (q and v of Llama and Qwen), or those that are found, see
            `targets_of`.
        batch_size: documents a step.
        epochs, swag_epochs: passes over the documents.
        learning_rate: after the warm-up.
        decayed_learning_rate: that it has come down to after `epochs`.
        swag_learning_rate: of the snapshots.
        warmup_epochs, anneal_epochs: how long the two changes take.
        snapshots_per_epoch: at equal distances, the last at the end of each epoch.
        rank: K, how many deviations are kept.
        reload_best: go back to the weights of the lowest validation loss before the snapshots.
        weight_decay, max_grad_norm: of AdamW, and of gradients (0: not clipped).
        scale: of the covariance when weights are drawn; `None` for the one of `SCALES` with the
            lowest validation NLL.
    """

    lora_rank: int = 8
    lora_alpha: int = 16
    lora_dropout: float = 0.1
    target_modules: str = ""
    batch_size: int = 8
    epochs: int = 1
    swag_epochs: int = 1
    learning_rate: float = 5e-4
    decayed_learning_rate: float = 3e-4
    swag_learning_rate: float = 3e-4
    warmup_epochs: float = 0.1
    anneal_epochs: float = 0.0
    snapshots_per_epoch: int = 20
    rank: int = 10
    reload_best: bool = False
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    scale: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for field in fields(self):
            value = getattr(self, field.name)
            least = LEAST.get(field.name)
            if least is not None and value is not None and not (isfinite(value) and value >= least):
                raise invalid(field.name, f"at least {least}", value)
        if self.snapshots < self.rank:
            raise invalid(
                "rank",
                f"at most the number of snapshots, {self.snapshots} (swag_epochs times snapshots_per_epoch)",
                self.rank,
                f"Give --rank {self.snapshots}, or take more snapshots.",
            )
        if not 0 <= self.lora_dropout < 1:
            raise invalid("lora_dropout", "at least 0 and below 1", self.lora_dropout)

    @property
    def snapshots(self) -> int:
        """N, how many are taken where there are as many steps."""
        return self.swag_epochs * self.snapshots_per_epoch


LEAST: dict[str, float] = {
    "lora_rank": 1,
    "batch_size": 1,
    "epochs": 1,
    "swag_epochs": 1,
    "snapshots_per_epoch": 1,
    "rank": 2,
    "learning_rate": 0,
    "decayed_learning_rate": 0,
    "swag_learning_rate": 0,
    "warmup_epochs": 0,
    "anneal_epochs": 0,
    "weight_decay": 0,
    "max_grad_norm": 0,
    "scale": 0,
}

SCALES = (0.0, 0.5, 2.0, 8.0, 32.0)
"""Scales that are tried on the validation documents."""

PRESETS = {
    "default": SwagSettings(),
    # Onal et al., 2024, as their code's README has it for OpenBookQA: 18 epochs were planned, of
    # which the learning rate has decayed over the first eight; snapshots after each epoch from
    # there, most of them while it anneals, until the forced save; twice the covariance of SWAG.
    # Their fully tuned answer head is the one thing that is not here: options are scored by the
    # model's own vocabulary.
    "onal2024": SwagSettings(
        batch_size=16,
        epochs=8,
        swag_epochs=6,
        learning_rate=6e-4,
        decayed_learning_rate=3.546e-4,
        swag_learning_rate=1e-4,
        warmup_epochs=1.08,
        anneal_epochs=5.0,
        snapshots_per_epoch=1,
        rank=5,
        reload_best=True,
        max_grad_norm=0.0,
        scale=1.0,
    ),
}
