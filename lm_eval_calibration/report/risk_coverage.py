"""Risk-coverage curve: how many errors remain when the least confident answers are withheld."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.metrics.binning import group_sums, tie_groups
from lm_eval_calibration.metrics.evaluate import Estimate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.report import theme, wording

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
NAME, HAS_STRIP = "Risk and coverage", True
_POINTS = 300


@dataclass(frozen=True)
class RiskCoverage:
    """Error rates of the most confident answers.

    Attributes:
        coverage: (P,) share of the documents that are answered, most confident first.
        risk: (P,) error rate among those, expected over the order of ties.
        perfect: (P,) the same if every right answer came before every wrong one.
        threshold: (P,) confidence of the least confident one among them.
        error_rate: of all documents; what a random order has at any coverage.
    """

    coverage: Floats
    risk: Floats
    perfect: Floats
    threshold: Floats
    error_rate: float


def prepare(predictions: Predictions, points: int = _POINTS) -> RiskCoverage:
    """The curve at up to `points` coverages, spread evenly over 1/N to 1.

    With `points` of N or more it is exact, and the mean of `risk` is the metric `aurc`.
    """
    c = np.asarray(predictions.confidence, dtype=np.float64)
    y = np.asarray(predictions.correct, dtype=np.float64)
    n = len(c)
    order = np.argsort(-c, kind="stable")
    starts, group = tie_groups(c[order])
    size = group_sums(np.ones(n), starts)
    wrong = group_sums(1.0 - y[order], starts)
    k = np.unique(np.rint(np.linspace(1, n, min(points, n))).astype(np.intp))
    of = group[k - 1]
    before = np.concatenate([[0.0], np.cumsum(wrong)])[of]
    errors = before + wrong[of] / size[of] * (k - starts[of])
    total = wrong.sum()
    return RiskCoverage(
        coverage=k / n,
        risk=errors / k,
        perfect=np.maximum(k - (n - total), 0.0) / k,
        threshold=c[order][k - 1],
        error_rate=float(total / n),
    )


def caption(r: RiskCoverage, estimates: Mapping[str, Estimate]) -> str:
    """What a reader must know to read the figure, its numbers first."""
    half = float(np.interp(0.5, r.coverage, r.risk))
    text = (
        f"The more confident half has an error rate of {wording.percent(half)}, all documents "
        f"have {wording.percent(r.error_rate)}."
    )
    aurc = wording.valued("AURC", estimates.get("aurc"))
    return f"{aurc}. {text}" if aurc else text


def draw(ax: Axes, r: RiskCoverage) -> None:
    """The curve between a random and a perfect order; the strip has the confidence threshold."""
    theme.unit_axes(ax, "coverage", "error rate")
    x = np.concatenate([[0.0], r.coverage])
    risk, perfect = (np.concatenate([v[:1], v]) for v in (r.risk, r.perfect))
    ax.fill_between(x, perfect, risk, color=theme.BLUE, alpha=0.13, linewidth=0)
    ax.plot(x, risk, color=theme.BLUE, linewidth=1.9, label="by confidence")
    ax.axhline(
        r.error_rate, color=theme.MUTED, linewidth=1.1, linestyle=(0, (4, 3)), label="random"
    )
    ax.plot(x, perfect, color=theme.ORANGE, linewidth=1.6, linestyle=(0, (2, 1.2)), label="perfect")
    theme.legend_above(ax, 3)
    strip = theme.strip(ax)
    threshold = np.concatenate([r.threshold[:1], r.threshold])
    strip.fill_between(x, threshold, color=theme.BAND, alpha=0.35, linewidth=0)
    strip.plot(x, threshold, color=theme.BAND, linewidth=1.2)
    strip.set(ylim=(0, 1.05), xlabel="coverage: share of documents answered")
    strip.annotate(
        f"confidence of the last one answered, {threshold[0]:.2f} to {threshold[-1]:.2f}",
        (0.01, 0.06), xycoords="axes fraction", fontsize=theme.SMALL, color=theme.INK,
    )  # fmt: skip
