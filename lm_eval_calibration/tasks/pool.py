"""What a generation twin reports of a pool of candidates: rows by document, and how they are pooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from lm_eval_calibration import envelope
from lm_eval_calibration.envelope import INVALID, Envelope
from lm_eval_calibration.harness.api import mean
from lm_eval_calibration.metrics.pool import PoolScores, norm_gain, norm_gain_spread, score_pool
from lm_eval_calibration.metrics.pool_summary import GAIN, OF_BELIEFS, OF_PICKS
from lm_eval_calibration.metrics.resampling import replicates_of

OF_ANY_POOL = ("gen", "majority", "oracle", "worst")
UNANSWERED = "unanswered_rate"
CUT = "cut_rate"
DIRECTIONS: dict[str, bool | None] = {
    **dict.fromkeys((*OF_ANY_POOL, *OF_BELIEFS, "disc", "disc_lenient", "dg_diff", GAIN), True),
    "invalid_rate": False,
    UNANSWERED: False,
    CUT: False,
}


class NormGain:
    """The ratio of sums, with its own standard error; an entry of `aggregation()`."""

    __name__ = GAIN  # the harness prints it

    def __call__(self, rows: Sequence[Any]) -> float:
        """Over all documents whose candidates differ."""
        return norm_gain(rows)

    def stderr(self, rows: Sequence[Any], replicates: int = 1000) -> float | str:
        """By the bootstrap over documents; "N/A" where no pool is mixed."""
        stderr = norm_gain_spread(rows, replicates_of(replicates)).stderr
        return stderr if math.isfinite(stderr) else "N/A"


POOL_AGGREGATIONS: dict[str, Callable[[Sequence[Any]], Any]] = {
    **dict.fromkeys((*OF_ANY_POOL, *OF_PICKS, *OF_BELIEFS, UNANSWERED, CUT), mean),
    GAIN: NormGain(),
}


def pool_rows(
    scores: Sequence[float],
    answers: Sequence[object],
    picks: Sequence[int | None],
    flags: Sequence[str] = (),
    beliefs: Sequence[float] = (),
) -> dict[str, Any]:
    """A document's rows; those of picks, or of beliefs in candidates, only where there are some."""
    if len(scores) < 2:
        return {}
    found: PoolScores = score_pool(scores, answers, picks, flags.count(envelope.CUT), beliefs)
    names = [*OF_ANY_POOL, *(OF_PICKS if picks else ()), *(OF_BELIEFS if beliefs else ())]
    rows: dict[str, Any] = {name: getattr(found, name) for name in names}
    if picks:
        rows[GAIN] = [found.dg_diff, found.oracle - found.gen]
    return rows


def said_rows(said: Envelope) -> dict[str, float]:
    """Whether the words that were to state a confidence did not; only where words were said."""
    if not said.said or said.picks:
        return {}
    return {"invalid_rate": float(INVALID in said.flags)}


def cut_rows(share: float | None) -> dict[str, float]:
    """The share of a document's replies that were cut; nothing where the model does not tell."""
    return {} if share is None else {CUT: share}
