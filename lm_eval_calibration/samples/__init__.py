"""What harness runs logged, read back: runs, their tasks, and the predictions of each."""

from lm_eval_calibration.samples.compare import Comparison, compare_runs
from lm_eval_calibration.samples.documents import Document, read_documents
from lm_eval_calibration.samples.logged import load_samples, read_samples
from lm_eval_calibration.samples.pairing import Match, match
from lm_eval_calibration.samples.pairs import Columns, read_table
from lm_eval_calibration.samples.run import Run, Samples, Scope, scopes
from lm_eval_calibration.samples.runs import read_runs
from lm_eval_calibration.samples.scores import Scored, score, score_all

__all__ = [
    "Columns",
    "Comparison",
    "Document",
    "Match",
    "Run",
    "Samples",
    "Scope",
    "Scored",
    "compare_runs",
    "load_samples",
    "match",
    "read_documents",
    "read_runs",
    "read_samples",
    "read_table",
    "scopes",
    "score",
    "score_all",
]
