"""How many documents a comparison needs, by drawing so many from a run that was logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.logs.run import Scope
from lm_eval_calibration.metrics import intervals
from lm_eval_calibration.metrics.binning import Array
from lm_eval_calibration.metrics.evaluate import applicable, bind_plain
from lm_eval_calibration.metrics.families import Columns
from lm_eval_calibration.metrics.grouping import clusters_of, drawn_together
from lm_eval_calibration.metrics.resampling import SEED
from lm_eval_calibration.metrics.table import BoundMetric

SIZES = (100, 300, 1_000, 3_000, 10_000)
MOST_TOLD = 10_000_000
"""Documents beyond which nobody is told how many it takes."""
_STEPS = 6


class Power(NamedTuple):
    """What so many documents can do.

    documents: how many; interval: half of the 95 % interval of one model's value; detectable: the
    smallest difference of two models that they would show with the power asked for.
    """

    documents: int
    interval: float
    detectable: float


@dataclass(frozen=True)
class Needed:
    """How many documents it takes to see a difference.

    Attributes:
        metric: whose.
        effect: the true difference; power: how often it is to be seen, at p < .05.
        documents: how many it takes; infinite beyond `MOST_TOLD`.
        correlation: of the two models' values over sets of documents: measured on two runs, assumed
            beside one.
        table: what other numbers of documents can do.
    """

    metric: str
    effect: float
    power: float
    documents: float
    correlation: float
    table: tuple[Power, ...]


def documents_needed(
    like: Sequence[Scope],
    metric: str,
    effect: float,
    *,
    power: float = 0.8,
    correlation: float = 0.5,
    replicates: int = 1000,
) -> Needed:
    """How many documents show that two models differ, if they are like those of one or two runs.

    So many documents (or clusters of them) are drawn with replacement, the same of both runs; the
    standard error at each number is that of the draws, and a test at .05 sees a difference of
    (1.96 + z) standard errors so often. Source: Miller, "Adding error bars to evals", 2024, section 5,
    which has it in closed form for means.

    Args:
        like: of one run, or of two on the same documents, in the same rows.
        metric: as for `evaluate`.
        effect: the difference to be seen, above 0.
        power: how often, between 0 and 1.
        correlation: of two models of whom one alone was run.
        replicates: draws at each number.

    Raises:
        InvalidInputError: numbers out of range; fewer than two documents; a metric that is undefined.
    """
    bound, known = bind_plain(metric), like[0].predictions
    least, most = bound.metric.bounds
    for name, value, low, high in (
        ("effect", effect, 0.0, most - least),
        ("power", power, 0.0, 1.0),
        ("correlation", correlation, -1.0, 1.0),
    ):
        if not low < value < high:
            end = "" if math.isinf(high) else f" and below {high:g}"
            raise invalid(f"--{name}", f"above {low:g}{end}", value)
    if not applicable(known, [bound.name]):
        what = "scores, which are no probabilities" if known.are_scores else "confidences alone"
        raise invalid("--metric", f"one that can be had of {what}", f"`{bound.name}`")
    drawn = _Drawn(like, bound, correlation, replicates)

    def at(documents: int) -> Power:
        single, paired = drawn.stderrs(documents)
        return Power(documents, 1.96 * single, intervals.detectable(paired, power))

    documents = _solved(at, effect, len(like[0].predictions))
    table = [at(size) for size in SIZES]
    return Needed(bound.name, effect, power, documents, drawn.correlation, tuple(table))


def _solved(at: Callable[[int], Power], effect: float, start: int) -> float:
    """The number at which the detectable difference is `effect`, which falls about as its root."""
    documents = float(start)
    for _ in range(_STEPS):
        found = at(max(2, round(documents))).detectable
        following = documents * (found / effect) ** 2
        if following > MOST_TOLD:
            return math.inf
        if abs(following - documents) < 0.01 * documents:
            return math.ceil(following)
        documents = max(following, 2.0)
    return math.ceil(documents)


class _Drawn:
    """Draws of any number of documents from those of one or two runs."""

    def __init__(
        self, like: Sequence[Scope], bound: BoundMetric, correlation: float, replicates: int
    ) -> None:
        self._bound, self._replicates = bound, replicates
        predictions = [scope.predictions for scope in like]
        count = len(predictions[0])
        if count < 2:
            raise InvalidInputError("One document says nothing of others; name a run of more.")
        self._columns: list[Columns] = [bound.metric.family.read(p) for p in predictions]
        if any(math.isnan(bound.value(columns)) for columns in self._columns):
            raise InvalidInputError(f"`{bound.name}` is undefined for these documents.")
        rng = np.random.default_rng(SEED)
        clusters = clusters_of(like[0].clusters, count)
        self._groups = drawn_together(count, clusters, rng)
        self._each = count / self._groups.total
        self._grouped = [bound.metric.family.grouped(c, self._groups) for c in self._columns]
        self.correlation = correlation
        if len(like) > 1:
            one, other = self._values(count)
            if np.allclose(one, other):
                raise invalid("--like", "two different models", "the same beliefs twice")
            self.correlation = float(np.corrcoef(one, other)[0, 1])

    def stderrs(self, documents: int) -> tuple[float, float]:
        """Of one model's value, and of the difference of two, on so many documents."""
        one, *others = self._values(documents)
        single = float(one.std(ddof=1))
        if others:
            return single, float((others[0] - one).std(ddof=1))
        return single, single * math.sqrt(2.0 * (1.0 - self.correlation))

    def _values(self, documents: int) -> list[Array]:
        rng = np.random.default_rng(SEED)
        total = max(1, round(documents / self._each))
        weight = rng.multinomial(
            total, np.full(self._groups.total, 1 / self._groups.total), size=self._replicates
        ).astype(np.float32)
        values = [grouped(weight).draws(self._bound.score) for grouped in self._grouped]
        defined = np.isfinite(values).all(axis=0)
        if defined.sum() < 2:
            raise InvalidInputError(
                f"`{self._bound.name}` is undefined in sets of {documents:,} such documents."
            )
        return [v[defined] for v in values]
