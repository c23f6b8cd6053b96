"""What the pools of many documents say together, with intervals, and whether picks beat chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics.accuracy import wilson_interval
from lm_eval_calibration.metrics.grouping import draw_groups, random_groups
from lm_eval_calibration.metrics.intervals import Spread, bootstrap_spread, p_value
from lm_eval_calibration.metrics.paired import PAIRED_REPLICATES
from lm_eval_calibration.metrics.pool import PoolScores, norm_gain, score_pool
from lm_eval_calibration.metrics.resampling import SEED
from lm_eval_calibration.predictions import Floats

GAIN = "norm_gain"
DIFF = "dg_diff"
OF_PICKS = ("disc", "disc_lenient", DIFF, "invalid_rate")
BEST = "best_of_n"
OF_BELIEFS = (BEST, "best_of_n_gain")
RIVALS = ("gen", "majority")
"""What the candidate with the highest belief is compared with."""
SHARES = ("gen", "majority", "oracle", "worst", "disc", "disc_lenient", BEST, "invalid_rate")
"""Figures that are shares of documents, or means of such."""
_BLOCK = 128


@dataclass(frozen=True)
class Pool:
    """One document's candidates, after the task's filters: what each scored, and the picks.

    Attributes:
        scores: f of each of n candidates.
        answers: the candidates'; equal ones are one answer, `None` is none.
        picks: a candidate's number, or `None`, for each time that one was chosen.
        places: where the picked candidate stood each time, from 0, as far as it is known.
        cut: how many of the words that were to name one were cut before that.
        beliefs: in each candidate, where there are any.
    """

    scores: tuple[float, ...]
    answers: tuple[object, ...]
    picks: tuple[int | None, ...] = ()
    places: tuple[int, ...] = ()
    cut: int = 0
    beliefs: tuple[float, ...] = ()

    def scored(self) -> PoolScores:
        """The document's row."""
        return score_pool(self.scores, self.answers, self.picks, self.cut, self.beliefs)


@dataclass(frozen=True)
class PickTest:
    """McNemar's test that picking is no better than a random candidate, one-sided.

    Jiang et al., appendix G: one outcome of each document, here the first candidate (which is a
    random draw) and the first pick; z = (gained - lost) / sqrt(gained + lost), p = 1 - Phi(z).

    Attributes:
        gained: documents of which the pick alone is right; `lost`: the first candidate alone.
        z, p_value: NaN where there is no such document.
    """

    gained: int
    lost: int
    z: float
    p_value: float


@dataclass(frozen=True)
class PoolSummary:
    """The pools of N documents.

    Attributes:
        documents: N; `sizes`: how many candidates the pools have, each number once.
        mixed: how many documents have candidates of different scores.
        values, spreads: of each figure of `PoolScores`, and `norm_gain`; those of picks, or of
            beliefs, only where there are some.
        dg_diff_p: two-sided p-value of "dg_diff is 0", by the paired bootstrap; NaN without picks.
        mcnemar: `None` without picks, or where scores are not 0 or 1.
        places: share of the picks that stood first, second and so on; empty where that is not
            known. All in one place is a preference for a number, not for an answer.
        best_p: likewise of "best_of_n is gen" and "best_of_n is majority"; empty without beliefs.
    """

    documents: int
    sizes: tuple[int, ...]
    mixed: int
    values: dict[str, float]
    spreads: dict[str, Spread]
    dg_diff_p: float
    mcnemar: PickTest | None
    places: tuple[float, ...] = ()
    best_p: Mapping[str, float] = field(default_factory=dict)


def _spread(name: str, value: float, draws: Floats, documents: int) -> Spread:
    """Of the bootstrap; of a share that all documents have, or none, Wilson's interval."""
    spread = bootstrap_spread(value, draws, value, False)
    if name not in SHARES or value not in (0.0, 1.0):
        return spread
    low, high = wilson_interval(value, documents)
    return Spread(spread.stderr, min(low, value), max(high, value))


def summarise(pools: Sequence[Pool], replicates: int = PAIRED_REPLICATES) -> PoolSummary:
    """Means over documents, with 95 % intervals of the bootstrap.

    A replicate draws documents with replacement, the same for all figures, so that the interval of
    `dg_diff` is that of a paired difference.

    Args:
        pools: of N documents, all with picks or all without.
        replicates: at least 2.

    Raises:
        InvalidInputError: no pools, picks or beliefs of some documents alone, or fewer than 2
            replicates.
    """
    if not pools:
        raise invalid("pools", "at least one", "none")
    if replicates < 2:
        raise invalid("replicates", "at least 2", replicates)
    picked = bool(pools[0].picks)
    if any(bool(pool.picks) is not picked for pool in pools):
        raise invalid("pools", "all with picks, or all without", "some of either")
    believed = bool(pools[0].beliefs)
    if any(bool(pool.beliefs) is not believed for pool in pools):
        raise invalid("pools", "all with beliefs in candidates, or all without", "some of either")
    rows = [pool.scored() for pool in pools]
    left_out = (() if picked else OF_PICKS) + (() if believed else OF_BELIEFS)
    names = [n for n in PoolScores._fields if n not in left_out]
    table = np.array([[getattr(row, name) for name in names] for row in rows], dtype=np.float64)
    possible = np.array([row.oracle - row.gen for row in rows])
    gained = np.array([row.dg_diff for row in rows])
    gains = np.where(possible[:, None] > 0, np.stack([gained, possible], axis=1), 0.0)
    sums = _resampled(np.concatenate([table, gains], axis=1), replicates)
    values = dict(zip(names, (float(v) for v in table.mean(axis=0)), strict=True))
    draws = dict(zip(names, sums.T / len(pools), strict=False))
    if picked:
        values[GAIN] = norm_gain(gains)
        top, bottom = sums[:, -2:].T
        draws[GAIN] = np.divide(top, bottom, out=np.full(replicates, np.nan), where=bottom > 0)
    return PoolSummary(
        documents=len(pools),
        sizes=tuple(sorted({len(pool.scores) for pool in pools})),
        mixed=int((possible > 0).sum()),
        values=values,
        spreads={n: _spread(n, v, draws[n], len(pools)) for n, v in values.items()},
        dg_diff_p=p_value(values[DIFF], draws[DIFF] - values[DIFF]) if picked else math.nan,
        mcnemar=mcnemar_of_picks(pools) if picked else None,
        places=_shares(pools),
        best_p={name: _p_less(BEST, name, values, draws) for name in RIVALS} if believed else {},
    )


def _p_less(name: str, other: str, values: dict[str, float], draws: dict[str, Floats]) -> float:
    """Two-sided p-value of "these two figures are equal"."""
    difference = values[name] - values[other]
    return p_value(difference, draws[name] - draws[other] - difference)


def _shares(pools: Sequence[Pool]) -> tuple[float, ...]:
    """Share of the picks at each place."""
    places = [place for pool in pools for place in pool.places]
    if not places:
        return ()
    counts = np.bincount(places, minlength=max(len(pool.scores) for pool in pools))
    return tuple((counts / counts.sum()).tolist())


def _resampled(table: Floats, replicates: int) -> Floats:
    """(replicates, columns) sums over documents (N, columns) drawn with replacement."""
    rng = np.random.default_rng(SEED)
    groups = random_groups(len(table), rng)
    sums = np.zeros((groups.total, table.shape[1]))
    np.add.at(sums, groups.of_document, table)
    sizes = [min(_BLOCK, replicates - start) for start in range(0, replicates, _BLOCK)]
    blocks = [draw_groups(groups, size, rng).astype(np.float64) @ sums for size in sizes]
    return np.concatenate(blocks)


def mcnemar_of_picks(pools: Sequence[Pool]) -> PickTest | None:
    """McNemar's test of the first picks against the first candidates; see `PickTest`.

    >>> mcnemar_of_picks([Pool((0, 1), "ab", (1,)), Pool((1, 1), "ab", (0,))])
    PickTest(gained=1, lost=0, z=1.0, p_value=0.15865525393145707)
    """
    if any(score not in (0, 1) for pool in pools for score in pool.scores):
        return None
    gained = lost = 0
    for pool in pools:
        first, pick = pool.scores[0], pool.picks[0]
        chosen = min(pool.scores) if pick is None else pool.scores[pick]
        gained += chosen > first
        lost += chosen < first
    if not gained + lost:
        return PickTest(0, 0, math.nan, math.nan)
    z = (gained - lost) / math.sqrt(gained + lost)
    return PickTest(gained, lost, z, float(ndtr(-z)))
