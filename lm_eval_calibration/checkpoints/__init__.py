"""Checkpoints of a training run: found, evaluated once each, and followed while training goes on."""

from lm_eval_calibration.checkpoints.found import Checkpoint, checkpoints_in
from lm_eval_calibration.checkpoints.settings import EvaluationSettings

__all__ = ["Checkpoint", "EvaluationSettings", "checkpoints_in"]
