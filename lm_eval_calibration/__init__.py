"""lm-eval-calibration: how far a language model's probabilities can be trusted.

Importing the package is cheap (no numpy, no torch) and attaches it to lm-evaluation-harness:
every harness task `<task>` has a calibration twin `calib_<task>`.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from lm_eval_calibration._version import __version__
from lm_eval_calibration.plugin import install as _install

if TYPE_CHECKING:
    from lm_eval_calibration.calibrators import METHODS as METHODS
    from lm_eval_calibration.calibrators import Calibrator as Calibrator
    from lm_eval_calibration.calibrators import fit as fit
    from lm_eval_calibration.errors import CalibrationError as CalibrationError
    from lm_eval_calibration.logs import load_samples as load_samples
    from lm_eval_calibration.metrics import METRICS as METRICS
    from lm_eval_calibration.metrics import compare as compare
    from lm_eval_calibration.metrics import evaluate as evaluate
    from lm_eval_calibration.predictions import Predictions as Predictions
    from lm_eval_calibration.report.diagram import reliability_diagram as reliability_diagram
    from lm_eval_calibration.tasks.sentences import SentenceTask as SentenceTask
    from lm_eval_calibration.tasks.twin import CalibrationTask as CalibrationTask
    from lm_eval_calibration.tasks.verbalized import VerbalizedTask as VerbalizedTask

_EXPORTS = {
    "Calibrator": "lm_eval_calibration.calibrators",
    "CalibrationError": "lm_eval_calibration.errors",
    "CalibrationTask": "lm_eval_calibration.tasks.twin",
    "METHODS": "lm_eval_calibration.calibrators",
    "METRICS": "lm_eval_calibration.metrics",
    "Predictions": "lm_eval_calibration.predictions",
    "SentenceTask": "lm_eval_calibration.tasks.sentences",
    "VerbalizedTask": "lm_eval_calibration.tasks.verbalized",
    "compare": "lm_eval_calibration.metrics",
    "evaluate": "lm_eval_calibration.metrics",
    "fit": "lm_eval_calibration.calibrators",
    "load_samples": "lm_eval_calibration.logs",
    "reliability_diagram": "lm_eval_calibration.report.diagram",
}

_TASKS = ("CalibrationTask", "SentenceTask", "VerbalizedTask")
"""Which derive from the harness's."""


def _has_harness() -> bool:
    try:
        return importlib.util.find_spec("lm_eval") is not None
    except ImportError:  # (a finder that refuses)
        return False


__all__ = [
    *(name for name in _EXPORTS if name not in _TASKS or _has_harness()),
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load an exported name on first use."""
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


_install()
