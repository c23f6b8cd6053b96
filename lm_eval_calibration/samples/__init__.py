"""What harness runs logged, read back: runs, their tasks, and the predictions of each."""

from lm_eval_calibration.samples.documents import Document, read_documents
from lm_eval_calibration.samples.logged import load_samples, read_samples
from lm_eval_calibration.samples.run import Run, Samples, Scope, scopes
from lm_eval_calibration.samples.runs import read_runs
from lm_eval_calibration.samples.scores import Scored, score

__all__ = [
    "Document",
    "Run",
    "Samples",
    "Scope",
    "Scored",
    "load_samples",
    "read_documents",
    "read_runs",
    "read_samples",
    "scopes",
    "score",
]
