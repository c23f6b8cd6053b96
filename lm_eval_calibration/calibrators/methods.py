"""The recalibrators by name. One more is a file with `METHOD`, and a line here."""

from __future__ import annotations

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

METHODS: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (
        temperature,
        vector,
        platt,
        beta,
        isotonic,
        histogram,
        inverse_softmax,
        resoftmax,
    )
}
