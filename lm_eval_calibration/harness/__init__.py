"""The bridge to lm-evaluation-harness: the only place that touches its internals.

`install()` is cheap and may be called at any time and any number of times: it registers what the
harness should find, now where the harness is already imported, else when it will be.
"""

from lm_eval_calibration.harness.hooks import install

__all__ = ["install"]
