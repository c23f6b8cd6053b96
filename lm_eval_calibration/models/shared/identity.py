"""Which model it is whose answers a cache holds, so that no run reads those of another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lm_eval_calibration.models.shared.fingerprint import name_of, stored_by, weights_of
from lm_eval_calibration.names import model_of_arguments


def identity(lm: Any, arguments: Mapping[str, Any] | None = None) -> str:
    """A model's, as 16 hexadecimal digits: by its weights, or where they are elsewhere by its name.

    Weights are told apart whatever their folder is called, and are the same in any precision. Of a
    server or another engine, the class and the name of the model, its revision and adapter are all
    that is known: give models that are called alike a cache each.

    Args:
        lm: a model of the harness.
        arguments: those that it was made of, where they are known.
    """
    weights = weights_of(lm)
    named = [type(lm).__name__, model_of_arguments(arguments or {}) or name_of(lm)]
    about = ["weights", stored_by(weights)] if weights else named
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
