"""Which release line of the harness the tests run with."""

import pytest

from lm_eval_calibration.harness.lines import harness_version

OLD = harness_version().startswith("0.4.")
"""Whether it is of the 0.4 line."""


def only_0_4(why: str) -> pytest.MarkDecorator:
    """Of what is 0.4's own, or broken in the other line's development release."""
    return pytest.mark.skipif(not OLD, reason=f"of 0.4: {why}")
