"""Models of other packages, by the entry points that the harness reads after 0.4.13."""

from __future__ import annotations

from collections.abc import Mapping

from lm_eval_calibration.members import points
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models import MODELS

GROUP = "lm_eval.models"
US = "lm-eval-calibration"
log = logger(f"lm_eval.{__name__}")


def models() -> Mapping[str, str]:
    """Names, and where their classes are; none has the name of one of ours."""
    found = points(GROUP, MODELS, but_of=US)
    for why in found.ignored:
        log.warning("%s", why)
    return {name: point.value for name, point in found.kept.items()}
