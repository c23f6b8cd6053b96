"""Whatever artifact a folder or a repository on the hub holds."""

from __future__ import annotations

from typing import Any

from lm_eval_calibration.calibrators.artifact import Artifact, read
from lm_eval_calibration.calibrators.calibrator import Calibrator


def load(name: str, **hub: Any) -> Artifact:
    """The calibrator or thermometer called `name`.

    Raises:
        InvalidInputError: there is none, or it is damaged.
    """
    config, _, _ = read(name, **hub)
    if config.get("method") == "thermometer":
        from lm_eval_calibration.calibrators.thermometer import Thermometer

        return Thermometer.from_pretrained(name, **hub)
    return Calibrator.from_pretrained(name, **hub)
