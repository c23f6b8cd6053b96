"""The recalibrators by name. One more is a file with `METHOD`, and an entry here.

Another package adds one by an entry point `lm_eval_calibration.calibrators` that names a `Method`.
"""

from __future__ import annotations

from typing import Any

from lm_eval_calibration.calibrators import (
    beta,
    histogram,
    inverse_softmax,
    isotonic,
    platt,
    resoftmax,
    temperature,
    vector,
)
from lm_eval_calibration.calibrators.contract import Method
from lm_eval_calibration.members import Members


def what_is_wrong(found: Any) -> str:
    """Why an object is no recalibrator; "" if it is one."""
    if isinstance(found, Method):
        return ""
    return (
        f"a calibrator is a `Method` of lm_eval_calibration.calibrators.contract, got {type(found)}"
    )


_OURS = (
    temperature, vector, platt, beta, isotonic, histogram, inverse_softmax, resoftmax,
)  # fmt: skip
METHODS: Members[Method] = Members(
    "lm_eval_calibration.calibrators", [module.METHOD for module in _OURS], what_is_wrong
)
