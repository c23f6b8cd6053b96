"""The risk-coverage curve."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_calibration import Predictions
from lm_eval_calibration.metrics import aurc, eaurc, evaluate
from lm_eval_calibration.report.risk_coverage import caption, prepare

calm = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PAIRS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 0.7, 1.0]) | st.floats(0, 1), st.booleans()),
    min_size=1, max_size=40,
)  # fmt: skip


def test_by_hand() -> None:
    """In order 1, 0, (1 or 0), (1 or 0): errors 0, 1, 1.5, 2 among 1, 2, 3, 4."""
    p = Predictions.from_confidences([0.5, 0.9, 0.5, 0.8], [0, 1, 1, 0])
    r = prepare(p)
    assert r.coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert r.risk.tolist() == [0, 0.5, 0.5, 0.5]
    assert r.perfect.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])
    assert r.threshold.tolist() == [0.9, 0.8, 0.5, 0.5]
    assert r.error_rate == 0.5


@calm
@given(PAIRS)
def test_means_are_aurc_and_the_perfect_aurc(pairs: list[tuple[float, bool]]) -> None:
    p = Predictions.from_confidences(*zip(*pairs, strict=True))
    r = prepare(p, points=len(p))
    assert r.risk.mean() == pytest.approx(aurc(p.confidence, p.correct), abs=1e-9)
    excess = r.risk.mean() - r.perfect.mean()
    assert excess == pytest.approx(eaurc(p.confidence, p.correct), abs=1e-9)
    assert (r.perfect <= r.risk + 1e-9).all()
    assert (np.diff(r.threshold) <= 0).all()
    assert r.risk[-1] == pytest.approx(r.error_rate)


@calm
@given(PAIRS)
def test_row_order_does_not_matter(pairs: list[tuple[float, bool]]) -> None:
    one, other = (
        prepare(Predictions.from_confidences(*zip(*order, strict=True)))
        for order in (pairs, pairs[::-1])
    )
    assert one.risk == pytest.approx(other.risk)


def test_many_documents_are_thinned_out() -> None:
    rng = np.random.default_rng(0)
    c = rng.random(10_000)
    p = Predictions.from_confidences(c, rng.random(len(c)) < c)
    thin, full = prepare(p), prepare(p, points=len(p))
    assert len(thin.risk) == 300
    assert (thin.coverage[0], thin.coverage[-1]) == (1e-4, 1)
    assert set(thin.risk) <= set(full.risk)
    text = caption(thin, evaluate(p, ["aurc"], replicates=0))
    assert text.startswith("AURC 0.")
    assert "all documents have 50." in text
