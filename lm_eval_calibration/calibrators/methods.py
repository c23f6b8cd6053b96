"""The recalibrators by name. One more is a file with `METHOD`, and an entry here.

Another package adds one by an entry point `lm_eval_calibration.calibrators` that names a `Method`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lm_eval_calibration.calibrators import (
    beta,
    centred_isotonic,
    histogram,
    inverse_softmax,
    isotonic,
    platt,
    prior,
    resoftmax,
    spline,
    temperature,
    vector,
)
from lm_eval_calibration.calibrators.contract import Method
from lm_eval_calibration.members import Guarded, Members, wrong_name


def what_is_wrong(found: Any) -> str:
    """Why an object is no recalibrator; "" if it is one."""
    if not isinstance(found, Method):
        kind = "lm_eval_calibration.calibrators.contract"
        return f"a calibrator is a `Method` of {kind}, got {type(found).__name__}"
    if wrong_name(found.name):
        return wrong_name(found.name)
    if (found.fit_pairs is None) != (found.apply_pairs is None):
        return "`fit_pairs` and `apply_pairs` go together: give both, or none"
    return ""


def guarded(method: Method, about: str) -> Method:
    """A recalibrator of another package, whose functions fail with errors that name it."""
    names = ("fit", "apply", "check", "fit_pairs", "apply_pairs")
    given = {name: getattr(method, name) for name in names}
    changes: dict[str, Any] = {name: f and Guarded(f, about, name) for name, f in given.items()}
    return replace(method, **changes)


_OURS = (
    temperature, vector, platt, beta, spline, centred_isotonic, isotonic, histogram, inverse_softmax,
    resoftmax, prior,
)  # fmt: skip
METHODS: Members[Method] = Members(
    "lm_eval_calibration.calibrators", [module.METHOD for module in _OURS], what_is_wrong, guarded
)
