"""A document's log-likelihoods held against the verdict that its run logged."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lm_eval_calibration.logs.formats.harness.bad import BadLineError

TIE = 1e-9
"""Scores that differ by less, relatively or in all, are equal but for rounding."""


def check_verdict(
    metric: str, right: bool | None, scores: Sequence[float], gold: Sequence[int]
) -> None:
    """Refuse a verdict that does not follow; of options that tie each may be the likeliest.

    Args:
        metric: the verdict's name.
        right: what it says; `None` if it was not logged.
        scores: of the options.
        gold: which are right.

    Raises:
        BadLineError: by its scores the document is not what the verdict says.
    """
    if right is None:
        return
    best = scores.index(max(scores))
    ties = [
        i
        for i, score in enumerate(scores)
        if i == best or math.isclose(score, scores[best], rel_tol=TIE, abs_tol=TIE)
    ]
    if not any((i in gold) is right for i in ties):
        is_gold = "is not" if right else "is"
        raise BadLineError(
            f"the run logged `{metric}` = {int(right)}, but option {best} (from 0), the most likely "
            f"one, {is_gold} among the right ones ({list(gold)})"
        )
