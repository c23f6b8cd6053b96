"""The logs that inspect_ai writes, `.eval` and `.json`."""

from lm_eval_calibration.logs.formats.inspect_ai.logs import InspectLogs

INSPECT = InspectLogs()

__all__ = ["INSPECT"]
