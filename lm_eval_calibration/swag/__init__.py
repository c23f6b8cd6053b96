"""SWAG: a Gaussian posterior over trainable weights from the snapshots of one training run."""

from lm_eval_calibration.swag.artifact import Member, load
from lm_eval_calibration.swag.moments import Moments
from lm_eval_calibration.swag.posterior import Draw, Posterior
from lm_eval_calibration.swag.settings import PRESETS, SwagSettings

__all__ = ["PRESETS", "Draw", "Member", "Moments", "Posterior", "SwagSettings", "load"]
