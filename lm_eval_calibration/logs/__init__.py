"""What harness runs left behind, found and read: runs, their tasks, and the predictions of each."""

from lm_eval_calibration.logs.contract import LogFormat
from lm_eval_calibration.logs.documents import LoggedDocument, document_hash
from lm_eval_calibration.logs.formats import FORMATS
from lm_eval_calibration.logs.formats.harness.samples_file import load_samples, read_samples
from lm_eval_calibration.logs.formats.tables import Columns, read_table
from lm_eval_calibration.logs.run import Run, Samples, Scope, scopes
from lm_eval_calibration.logs.runs import read_documents, read_runs

__all__ = [
    "FORMATS",
    "Columns",
    "LogFormat",
    "LoggedDocument",
    "Run",
    "Samples",
    "Scope",
    "document_hash",
    "load_samples",
    "read_documents",
    "read_runs",
    "read_samples",
    "read_table",
    "scopes",
]
