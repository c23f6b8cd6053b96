"""What harness runs logged, read back: runs, their tasks, and the predictions of each."""

from lm_eval_calibration.samples.logged import load_runs, load_samples, sample_files
from lm_eval_calibration.samples.run import Run, Samples, Scope, scopes

__all__ = ["Run", "Samples", "Scope", "load_runs", "load_samples", "sample_files", "scopes"]
