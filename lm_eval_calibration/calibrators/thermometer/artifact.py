"""`Thermometer`: the trained network, and the temperatures it gives."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lm_eval_calibration.arguments import built
from lm_eval_calibration.calibrators.artifact import Artifact, OtherKindError, Tensors, Training
from lm_eval_calibration.calibrators.thermometer.network import Recognition
from lm_eval_calibration.calibrators.thermometer.settings import ThermometerSettings
from lm_eval_calibration.calibrators.validity import bounded, finite
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.files import JSON, FileFormat, write_json
from lm_eval_calibration.predictions import Floats

HISTORY = "training.json"
STANDARD = ("centre", "spread")
"""Tensors by which hidden states are standardised, beside those of the network."""
SMALLEST_SPREAD = 1e-6
"""A hidden unit that varies less is divided by 1."""
States = NDArray[np.float32]


class Thermometer(Artifact):
    """A network that says, from hidden states alone, by what a task's logits should be divided.

    Args:
        network: trained.
        settings: it was trained with.
        centre, spread: (H,) subtracted from hidden states, and what they are divided by.
        training: tasks and documents it was trained on, and the model whose states they were.
        about: how training went.
    """

    def __init__(
        self,
        network: Recognition,
        settings: ThermometerSettings,
        centre: States,
        spread: States,
        training: Training,
        about: dict[str, Any] | None = None,
    ) -> None:
        self.network = network.eval()
        self.settings = settings
        self.centre, self.spread = centre, spread
        self.training = training
        self.about = about or {}

    @property
    def method(self) -> str:
        """Its kind."""
        return "thermometer"

    @property
    def hidden_size(self) -> int:
        """H, of the hidden states that it reads."""
        return len(self.centre)

    def inverse_temperatures(self, hidden: States) -> Floats:
        """(N,) of each document, from its prompt's hidden state (N, H).

        Raises:
            InvalidInputError: another size, or a NaN.
        """
        if hidden.ndim != 2 or hidden.shape[1] != self.hidden_size:
            raise invalid("hidden", f"of shape (N, {self.hidden_size})", hidden.shape)
        if not np.isfinite(hidden).all():
            raise invalid("hidden", "finite", "NaN or infinity")
        states = standardised(hidden, self.centre, self.spread)
        with torch.no_grad():
            return self.network(torch.from_numpy(states)).double().numpy()

    def temperature(self, inverse: Floats) -> float:
        """The temperature of a task from the inverse ones (N,) of its documents, N at least 1."""
        values = np.asarray(inverse, dtype=np.float64)
        if not len(values):
            raise invalid("inverse", "at least one document", "none")
        harmonic = self.settings.mean == "harmonic"
        return float(1 / values.mean() if harmonic else (1 / values).mean())

    def describe(self) -> dict[str, Any]:
        """Size, settings and how training went."""
        about = {k: v for k, v in self.about.items() if k != "history"}
        return {"hidden_size": self.hidden_size, "settings": asdict(self.settings), **about}

    def tensors(self) -> Tensors:
        """The network's weights, `centre` and `spread`."""
        weights = {name: value.numpy() for name, value in self.network.state_dict().items()}
        return {**weights, "centre": self.centre, "spread": self.spread}

    @classmethod
    def restore(cls, config: dict[str, Any], tensors: Tensors, training: Training) -> Thermometer:
        """The thermometer of its files.

        Raises:
            InvalidInputError: the files are of another kind, or their shapes do not fit together.
        """
        if config["method"] != "thermometer":
            raise OtherKindError(
                f"is the folder of a calibrator ({config['method']}), which --model calibrated takes; a "
                "thermometer is made by `lm-calib fit thermometer`."
            )
        settings = built(ThermometerSettings, config["settings"])
        finite(tensors)
        centre = bounded(tensors, "centre", (None,))
        spread = bounded(tensors, "spread", centre.shape, SMALLEST_SPREAD)
        branches, width = bounded(tensors, "weight", (None, None)).shape
        bounded(tensors, "hidden.weight", (branches * width, len(centre)))
        if config.get("hidden_size", len(centre)) != len(centre) or settings.branches != branches:
            raise invalid(
                "hidden_size and branches",
                f"{len(centre)} and {branches}, as of the tensors",
                f"{config.get('hidden_size')!r} and {settings.branches}",
            )
        weights = {k: torch.from_numpy(v) for k, v in tensors.items() if k not in STANDARD}
        network = Recognition(len(centre), width, branches)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise InvalidInputError(f"The thermometer's weights do not fit: {error}") from error
        about = {str(k): config[k] for k in ("seed", "step", "validation_nll") if k in config}
        return cls(network, settings, centre, spread, training, about)

    @classmethod
    def files(cls) -> dict[str, FileFormat]:
        """Also the curve of losses."""
        return {**super().files(), HISTORY: JSON}

    def _write(self, folder: Path, overwrite: bool) -> None:
        super()._write(folder, overwrite)
        rows = [dict(zip(("step", "loss", "validation_nll"), row, strict=True)) for row in
                self.about.get("history", [])]  # fmt: skip
        known = [{k: None if v != v else v for k, v in row.items()} for row in rows]
        write_json(folder / HISTORY, {"steps": known}, overwrite=overwrite)


def standardised(hidden: States, centre: States, spread: States) -> States:
    """(N, H) float32 hidden states, centred and divided by their spread."""
    return (np.asarray(hidden, dtype=np.float32) - centre) / spread
