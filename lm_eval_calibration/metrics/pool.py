"""Choosing among one's own answers: what a pool of candidates scores, and what a pick adds.

Jiang et al., 2025 (SELF-[IN]CORRECT): n candidates of one question, each scored by the task's
metric f; generation is the mean over the pool, which is the expectation of a random pick;
discrimination is the score of the candidate that the model picks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.metrics.intervals import Spread, bootstrap_spread
from lm_eval_calibration.predictions import Floats


class PoolScores(NamedTuple):
    """One document's pool.

    gen: mean of f over the pool; disc: of the picks, where one that names no candidate scores the
    pool's worst; disc_lenient: the same with `gen` for such a pick; dg_diff: disc - gen; majority:
    of the most frequent answer, ties shared, and the worst where there is no answer; oracle, worst:
    the best and the worst candidate's; invalid_rate: share of picks that name none, though they were not cut;
    unanswered_rate: share of candidates that are no answer; best_of_n: of the candidate with the
    highest belief, the first of equals, and best_of_n_gain: best_of_n - gen; NaN without beliefs.
    """

    gen: float
    disc: float
    disc_lenient: float
    dg_diff: float
    majority: float
    oracle: float
    worst: float
    invalid_rate: float
    unanswered_rate: float
    best_of_n: float
    best_of_n_gain: float


def score_pool(
    scores: Sequence[float],
    answers: Sequence[object],
    picks: Sequence[int | None],
    cut: int = 0,
    beliefs: Sequence[float] = (),
) -> PoolScores:
    """Score one document's pool.

    Args:
        scores: f of each of n candidates.
        answers: what stands for each candidate's answer: equal ones are one answer, and `None` is
            none: it agrees with nothing.
        picks: numbers of the candidates that were picked, one for each order in which they were
            shown; `None` for words that name none.
        cut: how many of these words were cut before they named one; they are not invalid.
        beliefs: in each candidate, where there are any.

    Raises:
        InvalidInputError: no candidates, or numbers of answers and scores that differ.

    >>> score_pool([1, 0, 0, 1], ["4", "5", "6", "4"], [1, None])._asdict()["disc"]
    0.0
    """
    f = np.asarray(scores, dtype=np.float64)
    if not len(f) or len(answers) != len(f):
        raise invalid("scores", "one for each of at least one candidate", f"{len(f)}")
    mean, worst = float(f.mean()), float(f.min())
    strict = [worst if pick is None else float(f[pick]) for pick in picks] or [mean]
    lenient = [mean if pick is None else float(f[pick]) for pick in picks] or [mean]
    disc = float(np.mean(strict))
    best = float(f[int(np.argmax(beliefs))]) if len(beliefs) else float("nan")
    return PoolScores(
        gen=mean,
        disc=disc,
        disc_lenient=float(np.mean(lenient)),
        dg_diff=disc - mean,
        majority=_majority(f, answers),
        oracle=float(f.max()),
        worst=worst,
        invalid_rate=(picks.count(None) - cut) / len(picks) if picks else 0.0,
        unanswered_rate=float(np.mean([answer is None for answer in answers])),
        best_of_n=best,
        best_of_n_gain=best - mean,
    )


def weightiest_answer(
    answers: Sequence[object], weights: Sequence[float]
) -> tuple[int, float] | None:
    """The answer with most weight over equal candidates: its first one's number, and the weight.

    Of answers that tie the one that came first. `None` is no answer, and never it.

    >>> weightiest_answer(["4", "5", "4"], [0.3, 0.4, 0.3])
    (0, 0.6)
    >>> weightiest_answer(["5", None, None], [0.25, 0.5, 0.25])
    (0, 0.25)
    """
    if all(answer is None for answer in answers):
        return None
    sums = [(sum(weights[i] for i in group), group[0]) for group in _equal(answers)]
    weight, first = max(sums, key=lambda pair: (pair[0], -pair[1]))
    return first, weight


def _equal(answers: Sequence[object]) -> list[list[int]]:
    """Numbers of the candidates of each answer."""
    groups: dict[str, list[int]] = {}
    for number, answer in enumerate(answers):
        if answer is not None:
            groups.setdefault(repr(answer), []).append(number)
    return list(groups.values())


def _majority(f: Floats, answers: Sequence[object]) -> float:
    groups = _equal(answers)
    if not groups:
        return float(f.min())
    most = max(map(len, groups))
    return float(np.mean([f[group].mean() for group in groups if len(group) == most]))


def norm_gain(rows: ArrayLike) -> float:
    """Share of what a perfect pick would add, over documents whose candidates differ.

    Args:
        rows: (disc - gen, oracle - gen) of each document.

    Returns:
        The ratio of the sums; NaN where no pool is mixed.
    """
    gained, possible = np.asarray(rows, dtype=np.float64).reshape(-1, 2).T
    total = float(possible[possible > 0].sum())
    return float(gained[possible > 0].sum()) / total if total else float("nan")


def norm_gain_spread(rows: ArrayLike, replicates: int = 1000, seed: int = 0) -> Spread:
    """Its error bar: the bootstrap over documents."""
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 2)
    table = np.where(table[:, 1:] > 0, table, 0.0)
    rng = np.random.default_rng(seed)
    weight = rng.multinomial(len(table), np.full(len(table), 1 / len(table)), size=replicates)
    gained, possible = (weight @ table).T
    draws = np.divide(gained, possible, out=np.full(replicates, np.nan), where=possible > 0)
    value = norm_gain(rows)
    return bootstrap_spread(value, draws, value, False)
