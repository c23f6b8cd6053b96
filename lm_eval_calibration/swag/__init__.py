"""SWAG: a Gaussian posterior over trainable weights from the snapshots of one training run."""

from lm_eval_calibration.swag.moments import Moments
from lm_eval_calibration.swag.posterior import Draw, Posterior

__all__ = ["Draw", "Moments", "Posterior"]
