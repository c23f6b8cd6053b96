"""Held out by construction: what an artifact was fitted on is not what it is judged by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.calibrators import Calibrator, Training
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.messages import logger
from lm_eval_calibration.models.instances import Document

log = logger(f"lm_eval.{__name__}")


class SeenDocumentsError(CalibrationError):
    """A calibrator is evaluated on documents that it was fitted on."""


def refuse_seen(
    training: Training, documents: Sequence[Document], *, allow: bool
) -> dict[str, int]:
    """Stop an evaluation on documents that were fitted on.

    Args:
        training: of the artifact.
        documents: about to be scored.
        allow: only count them, and warn.

    Returns:
        How many of each task's documents were fitted on, where there are any.

    Raises:
        SeenDocumentsError: there are, and they are not allowed.
    """
    hashes = np.array([document.hash for document in documents], dtype=np.uint64)
    seen = training.seen(hashes)
    count = Counter(d.task for d, was in zip(documents, seen, strict=True) if was)
    total = Counter(d.task for d in documents)
    if not count:
        return {}
    tasks = ", ".join(f"{n:,} of {total[task]:,} of `{task}`" for task, n in count.items())
    if not allow:
        raise SeenDocumentsError(
            f"The calibrator was fitted on documents of this evaluation ({tasks}): figures on them "
            "would flatter it. Evaluate on other documents, fit it on others (--split), or pass "
            "allow_seen=true, which marks the results."
        )
    log.warning("Fitted on documents of this evaluation (%s): the figures flatter it.", tasks)
    return dict(count)


def account(calibrator: Calibrator, path: str, seen: dict[str, int]) -> dict[str, Any]:
    """What results say of a calibrator that was used."""
    return {
        "path": path,
        "method": calibrator.method,
        "fitted_on": calibrator.training.tasks,
        "fitted_for": calibrator.training.base_model,
        "seen_documents": seen,
    }


def refuse_cache(hook: Any, what: str) -> None:
    """Stop `--use_cache` where answers depend on more than their request.

    Raises:
        CalibrationError: the hook belongs to a cache.
    """
    if getattr(hook, "dbdict", None) is not None:
        raise CalibrationError(
            f"`--use_cache` cannot be used here: {what}. Run without it, or cache a run of the "
            "model itself."
        )
