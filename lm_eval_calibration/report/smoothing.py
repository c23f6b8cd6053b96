"""Accuracy as a smooth function of confidence: the reliability diagram without bins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_CELLS, _POINTS = 1024, 201
_NARROWEST, _WIDEST = 0.03, 0.1
FEWEST_NEAR = 10.0
"""Documents within about one bandwidth, below which there is no curve."""


@dataclass(frozen=True)
class Smooth:
    """Kernel-smoothed accuracy.

    Attributes:
        x: (P,) confidences.
        accuracy: (P,) right answers near x by documents near x; NaN where those are too few.
        bandwidth: the Gaussian's standard deviation, in confidence.
    """

    x: Floats
    accuracy: Floats
    bandwidth: float

    def pieces(self) -> Iterator[tuple[Floats, Floats]]:
        """The curve's unbroken parts."""
        known = np.flatnonzero(~np.isnan(self.accuracy))
        for part in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
            if len(part) > 1:
                yield self.x[part], self.accuracy[part]


def smooth_accuracy(confidence: Floats, correct: Floats) -> Smooth:
    """Nadaraya-Watson estimate with a Gaussian reflected at 0 and 1, the kernel of smooth ECE.

    The bandwidth is Silverman's rule, .9 min(s, IQR / 1.34) N^-1/5, held between .03 and .1. Not
    smooth ECE's own, which grows with the error and so flattens the curve of just those models
    whose shape matters; and not isotonic regression, which cannot show accuracy falling as
    confidence rises. Confidences are rounded to 1/1,024.

    Args:
        confidence: (N,) in [0, 1].
        correct: (N,) of 0 and 1.

    Returns:
        The curve, undefined where fewer than 10 documents lie within about one bandwidth.
    """
    h = _bandwidth(confidence)
    cells = np.minimum((confidence * _CELLS).astype(np.intp), _CELLS - 1)
    documents = np.bincount(cells, minlength=_CELLS).astype(np.float64)
    filled = np.flatnonzero(documents)
    centre = (filled + 0.5) / _CELLS
    documents, right = documents[filled], np.bincount(cells, correct, _CELLS)[filled]
    x = np.linspace(0.0, 1.0, _POINTS)
    kernel = sum(
        np.exp(-0.5 * ((x[:, None] - image) / h) ** 2) for image in (centre, -centre, 2 - centre)
    )
    near = kernel @ documents
    accuracy = np.divide(
        kernel @ right, near, out=np.full(_POINTS, np.nan), where=near >= FEWEST_NEAR
    )
    return Smooth(x, accuracy, h)


def _bandwidth(confidence: Floats) -> float:
    quarter, three_quarters = np.quantile(confidence, [0.25, 0.75])
    spread = min(float(confidence.std()), float(three_quarters - quarter) / 1.34)
    return float(np.clip(0.9 * spread * len(confidence) ** -0.2, _NARROWEST, _WIDEST))
