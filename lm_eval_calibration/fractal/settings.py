"""How a scorer of sentences is trained."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.aggregates import AGGREGATES, FORMS
from lm_eval_calibration.fractal.losses import BAG_LOSSES, Weights

CANDIDATES = (
    Weights(1.0, 0.0, 0.0),
    Weights(0.8, 0.2, 0.0),
    Weights(0.8, 0.0, 0.2),
    Weights(0.8, 0.1, 0.1),
    Weights(0.5, 0.5, 0.0),
    Weights(0.5, 0.0, 0.5),
    Weights(0.5, 0.3, 0.2),
    Weights(0.3, 0.7, 0.0),
)
"""Weights that are tried; the paper's shipped ones are among them."""


@dataclass(frozen=True)
class FractalSettings:
    """Of `train`.

    Attributes:
        aggregate: `min` (right if all are), `max` (if any is) or `avg`.
        form: of `min` and `max`, see `aggregates.FORMS`.
        bag_loss: `bce` or `mse`.
        weights: of the losses; `None` for those of `CANDIDATES` with most on the priors whose loss
            on the validation responses' labels is not above the lowest by a standard error.
        rounds: of pseudo-labels, each with a fresh network; 0 for none.
        interaction: show the network the product and the distance of sentence and question too.
        hidden: width of the first layer; the second has half of it.
        epochs: at most; a training ends when its validation loss has not fallen for `patience`.
        batch_size: responses (or pairs of them) a step.
        learning_rate, weight_decay: of AdamW.
        search_size: responses, at most, on which candidates of the weights are tried.
    """

    aggregate: str = "min"
    form: str = "hard"
    bag_loss: str = "bce"
    weights: Weights | None = None
    rounds: int = 1
    interaction: bool = False
    hidden: int = 384
    epochs: int = 40
    patience: int = 5
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    search_size: int = 1000

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, known in (
            ("aggregate", AGGREGATES), ("form", FORMS), ("bag_loss", BAG_LOSSES)
        ):  # fmt: skip
            if getattr(self, name) not in known:
                raise invalid(name, ", ".join(known), f"`{getattr(self, name)}`")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if not (isfinite(value) and value >= least):
                raise invalid(name, f"at least {least}", value)
        w = self.weights
        if w is not None and not (min(w) >= 0 and abs(sum(w) - 1) < 1e-6):
            raise invalid("weights", "three numbers from 0 on with a sum of 1", tuple(w))


LEAST: dict[str, float] = {
    "rounds": 0,
    "hidden": 2,
    "epochs": 1,
    "patience": 1,
    "batch_size": 1,
    "learning_rate": 0,
    "weight_decay": 0,
    "search_size": 1,
}
