"""The harness's own logs: `samples_<task>_<date>.jsonl`, and `results_<date>.json` beside them."""

from lm_eval_calibration.logs.formats.harness.logs import HarnessLogs

HARNESS = HarnessLogs()

__all__ = ["HARNESS", "HarnessLogs"]
