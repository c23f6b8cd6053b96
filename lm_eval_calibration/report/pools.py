"""What pools of candidates say, in rows and words, for the page and the terminal."""

from __future__ import annotations

import math
from typing import NamedTuple

from lm_eval_calibration.analysis.pools import MEANINGS, alike, pools_of
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.run import Scope
from lm_eval_calibration.metrics.pool_summary import PoolSummary, summarise
from lm_eval_calibration.report.wording import number, p_value, percent


class PoolRow(NamedTuple):
    """One figure of a table."""

    name: str
    meaning: str
    value: str
    interval: str


class PoolView(NamedTuple):
    """A section about a task's or group's pools."""

    title: str
    rows: list[PoolRow]
    tests: list[str]


def view(scope: Scope) -> PoolView | None:
    """The pools of a scope; `None` where a task of it logged none, or its file is gone."""
    try:
        parts = [pools_of(samples) for samples in scope.samples]
    except InvalidInputError:  # gone or changed (the examples say so)
        return None
    pools = [pool for part in parts if part is not None for pool in part]
    if None in parts or not alike(pools):
        return None
    summary = summarise(pools)
    return PoolView(in_words(summary), rows(summary), tests(summary))


def rows(s: PoolSummary) -> list[PoolRow]:
    """Every figure with its interval."""
    return [
        PoolRow(name, MEANINGS[name], number(value), _interval(*s.spreads[name][1:]))
        for name, value in s.values.items()
    ]


def in_words(s: PoolSummary) -> str:
    """How many pools there are, and of how many candidates."""
    sizes = " or ".join(map(str, s.sizes))
    return f"{s.documents:,} documents with {sizes} candidates, {s.mixed:,} of them mixed"


def tests(s: PoolSummary) -> list[str]:
    """The tests of whether choosing pays, and where the picks stood; nothing where nobody chose."""
    found = [
        f"best_of_n is {name}: p = {p_value(value)} (paired bootstrap, two-sided)."
        for name, value in s.best_p.items()
    ]
    if math.isnan(s.dg_diff_p):
        return found
    found += [f"dg_diff is 0: p = {p_value(s.dg_diff_p)} (paired bootstrap, two-sided)."]
    if s.places:
        shares = ", ".join(f"{k}: {percent(share)}" for k, share in enumerate(s.places, start=1))
        found.append(f"Places of the picks: {shares}.")
    m = s.mcnemar
    if m is not None:
        found.append(
            f"The first pick is no better than the first candidate: p = {p_value(m.p_value)} "
            f"(McNemar, one-sided; {m.gained} gained, {m.lost} lost)."
        )
    return found


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"[{number(low)}, {number(high)}]"
