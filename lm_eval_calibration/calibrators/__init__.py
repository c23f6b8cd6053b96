"""Maps from beliefs to better beliefs: fitted on labelled documents, kept in a folder.

`fit` and `Calibrator` for the recalibrators, `METHODS` lists them; `Thermometer` for the network
that predicts a task's temperature from its prompts; `load` for either.
"""

from lm_eval_calibration.calibrators.artifact import Artifact, Training
from lm_eval_calibration.calibrators.calibrator import Calibrator, fit
from lm_eval_calibration.calibrators.loading import load
from lm_eval_calibration.calibrators.methods import METHODS

__all__ = ["METHODS", "Artifact", "Calibrator", "Training", "fit", "load"]
