"""All that is taken of lm-evaluation-harness, and all that is changed in it.

No other room knows the harness's internals, and this one knows none of ours: `install` is handed a
`Plugin`, and the rooms above find the harness's classes and functions in `api`, `tasks` and
`start`. Importing the package itself is cheap, and imports nothing of the harness.
"""

from lm_eval_calibration.harness.hooks import install
from lm_eval_calibration.harness.plugin import Plugin

__all__ = ["Plugin", "install"]
