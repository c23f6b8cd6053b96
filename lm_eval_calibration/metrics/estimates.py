"""`Estimate`: a metric's value with its error bar and null band; `Estimates`: several, as they are shown."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lm_eval_calibration.metrics.binning import bin_counts, bin_sums, equal_width_bins
from lm_eval_calibration.predictions import Predictions

BINS = 10
"""Of the small diagram that a notebook shows."""


@dataclass(frozen=True)
class NullBand:
    """What a perfectly calibrated model with the same beliefs would score.

    `mean` of its score, and the interval from `low` to `high` that holds it 95 times in 100.
    """

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A metric's value, its error bar over documents, and its null band.

    Attributes:
        name: as asked for.
        value: the metric on these documents.
        stderr: its standard error; NaN if none.
        low, high: its 95 % interval, within the metric's bounds and around the value; NaN where
            there is no standard error, and of `mce` (`Metric.no_interval`). For a mean 1.96 standard errors, for `acc` Wilson's, for a
            `_null` its band; else of the same replicates: of what is biased upwards the basic interval
            and 1.96 standard errors, whichever reaches farther; the percentile interval of the rest.
            A calibration error no larger than its null band allows may be
            0, and there its interval begins.
        null: what a calibrated model would score; `None` where that cannot be said.
    """

    name: str
    value: float
    stderr: float
    low: float
    high: float
    null: NullBand | None


class Estimates(dict[str, Estimate]):
    """Estimates by the metrics' names, and the predictions that they are of.

    Args:
        estimates: by name.
        predictions: that were scored.
    """

    def __init__(self, estimates: Mapping[str, Estimate], predictions: Predictions) -> None:
        super().__init__(estimates)
        self.predictions = predictions

    def __repr__(self) -> str:
        """A line a metric: value, 95 % interval, and what a calibrated model would score."""
        rows = [
            [e.name, _number(e.value), _interval(e.low, e.high), _band(e)] for e in self.values()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        """The same as a table, beside a small reliability diagram."""
        head = "".join(
            f"<th>{name}</th>" for name in ("", "value", "95 % interval", "if calibrated")
        )
        body = "".join(
            f"<tr><th>{html.escape(e.name)}</th><td>{_number(e.value)}</td><td>{_interval(e.low, e.high)}</td>"
            f"<td>{_interval(*_ends(e))}</td></tr>"
            for e in self.values()
        )
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        drawn = "" if self.predictions.are_scores else "accuracy by confidence (pale: few)<br>"
        caption = f"{drawn}{len(self.predictions):,} documents"
        return (
            f'<div style="display:flex;gap:2em;align-items:center">{table}'
            f'<figure style="margin:0">{_diagram(self.predictions)}<figcaption>{caption}</figcaption></figure></div>'
        )


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"[{low:.4f}, {high:.4f}]"


def _ends(e: Estimate) -> tuple[float, float]:
    return (math.nan, math.nan) if e.null is None else (e.null.low, e.null.high)


def _band(e: Estimate) -> str:
    return "" if e.null is None else f"if calibrated {_interval(*_ends(e))}"


def _diagram(predictions: Predictions) -> str:
    """Accuracy by confidence, as a small picture of bars under the diagonal; nothing of scores."""
    if predictions.are_scores:
        return ""
    c = np.asarray(predictions.confidence, dtype=np.float64)
    bins = equal_width_bins(c, BINS)
    count = bin_counts(bins, BINS, None)
    right = bin_sums(bins, np.asarray(predictions.correct, dtype=np.float64), BINS, None)
    bars = "".join(
        f'<rect x="{100 * k / BINS:g}" y="{100 - 100 * right[k] / count[k]:.1f}" width="{90 / BINS:g}" '
        f'height="{100 * right[k] / count[k]:.1f}" fill="#0072b2" '
        f'fill-opacity="{0.1 + 0.6 * (count[k] / count.max()) ** 0.5:.2f}">'
        f"<title>{int(count[k])} documents</title></rect>"
        for k in np.flatnonzero(count)
    )
    return (
        '<svg viewBox="0 0 100 100" width="140" height="140" role="img" aria-label="accuracy by confidence">'
        '<path d="M0 0V100H100" fill="none" stroke="#57606a"/>'
        f'{bars}<path d="M0 100L100 0" stroke="#57606a" stroke-dasharray="4 3"/></svg>'
    )
