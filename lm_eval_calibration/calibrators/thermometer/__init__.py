"""THERMOMETER (Shen et al., ICML 2024): a task's temperature from its prompts, no labels needed."""

from lm_eval_calibration.calibrators.thermometer.artifact import Thermometer
from lm_eval_calibration.calibrators.thermometer.settings import PRESETS, ThermometerSettings
from lm_eval_calibration.calibrators.thermometer.training import train

__all__ = ["PRESETS", "Thermometer", "ThermometerSettings", "train"]
