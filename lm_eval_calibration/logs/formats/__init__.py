"""Formats of logs, a file or a folder each. One more is one of these, and an entry of `FORMATS`.

Another package adds one by an entry point `lm_eval_calibration.formats` that names a `LogFormat`.
"""

from lm_eval_calibration.logs.contract import LogFormat, what_is_wrong
from lm_eval_calibration.logs.formats.details import LEADERBOARD, LIGHTEVAL
from lm_eval_calibration.logs.formats.harness import HARNESS
from lm_eval_calibration.logs.formats.harness_lists import LISTS
from lm_eval_calibration.logs.formats.harness_write_out import WRITE_OUT
from lm_eval_calibration.logs.formats.helm import HELM
from lm_eval_calibration.logs.formats.inspect_ai import INSPECT
from lm_eval_calibration.logs.guarded import GuardedFormat
from lm_eval_calibration.members import Members

OURS: list[LogFormat] = [
    HARNESS,
    LISTS,
    WRITE_OUT,
    LIGHTEVAL,
    LEADERBOARD,
    HELM,
    INSPECT,
]
FORMATS: Members[LogFormat] = Members(
    "lm_eval_calibration.formats", OURS, what_is_wrong, GuardedFormat
)

__all__ = ["FORMATS", "HARNESS"]
