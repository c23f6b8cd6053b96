"""What one pass over a task's documents leaves behind: hidden states and option scores."""

from lm_eval_calibration.features.store import FeatureStore, Key
from lm_eval_calibration.features.table import Features

__all__ = ["FeatureStore", "Features", "Key"]
