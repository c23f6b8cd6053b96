"""How a thermometer is built and trained: the paper's figures, and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lm_eval_calibration.errors import invalid


@dataclass(frozen=True)
class ThermometerSettings:
    """Hyper-parameters; the defaults of the fields are the released code's.

    Attributes:
        width: of each branch's hidden layer; `None` for an eighth of the hidden state's.
        branches: how many there are.
        steps: of the optimiser; each sees one batch of one task, chosen evenly among tasks.
        batch: documents at most.
        learning_rate, weight_decay: of AdamW.
        prior_weight: lambda, of the temperature's prior in the loss.
        prior_shape, prior_rate: of its Gamma distribution; mode (shape - 1) / rate = 1.
        evaluate_every: steps between looks at the validation documents.
        patience: looks without a new best after which training ends; `None` for never.
        standardise: whether hidden states are shifted and scaled by the training tasks' mean and
            standard deviation first.
        start_at_one: whether every temperature is 1 before the first step.
        mean: of the documents' temperatures that is the task's.
    """

    width: int | None = None
    branches: int = 3
    steps: int = 5000
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    prior_weight: float = 1e-2
    prior_shape: float = 1.25
    prior_rate: float = 0.25
    evaluate_every: int = 50
    patience: int | None = None
    standardise: bool = False
    start_at_one: bool = False
    mean: Literal["harmonic", "arithmetic"] = "harmonic"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("width", "branches", "batch", "evaluate_every", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise invalid(name, "at least 1", value)
        if self.mean not in ("harmonic", "arithmetic"):
            raise invalid("mean", "harmonic or arithmetic", f"`{self.mean}`")


PRESETS = {
    "paper": ThermometerSettings(),
    "default": ThermometerSettings(
        standardise=True, start_at_one=True, patience=20, learning_rate=3e-4
    ),
}
"""`paper`: as the released code. `default`: with standardised hidden states and temperature 1 at the
start, which makes the first steps quiet, and an end when validation has long stopped to improve."""
