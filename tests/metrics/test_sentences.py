"""Pooled figures of sentences, with scikit-learn as the oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.binned import ece
from lm_eval_calibration.metrics.sentences import (
    FIGURES,
    scored,
    sentence_auprc,
    sentence_auroc,
    sentence_ece,
    spread,
)

ROWS = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.sampled_from([0.0, 1.0, math.nan])
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=2,
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_values(rows: list[list[tuple[float, float]]]) -> None:
    known = [pair for row in rows for pair in row if not math.isnan(pair[1])]
    s = scored(rows)
    assert len(s.scores) == len(known)
    labels = {label for _, label in known}
    if len(labels) < 2:
        return
    p, y = np.array(known).T
    assert sentence_auroc(s) == pytest.approx(roc_auc_score(y, p))
    assert sentence_auprc(s) == pytest.approx(average_precision_score(1 - y, -p))
    assert sentence_ece(s) == pytest.approx(ece(p, y))


@settings(max_examples=30, deadline=None)
@given(ROWS, st.integers(0, 99))
def test_weights_are_repeated_documents(rows: list[list[tuple[float, float]]], seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 3, size=len(rows))
    repeated = [row for row, count in zip(rows, counts, strict=True) for _ in range(count)]
    s, other = scored(rows), scored(repeated)
    if not len(other.scores) or other.right.all() or not other.right.any():
        return
    for name, (function, _) in FIGURES.items():
        found = function(s, counts[s.owner].astype(float)[None])
        assert float(np.ravel(found)[0]) == pytest.approx(function(other)), name


def test_error_bars_are_those_of_documents() -> None:
    """Copies of a sentence within its document tell nothing new."""
    rng = np.random.default_rng(0)
    single = [[(float(p), float(rng.random() < p))] for p in rng.random(200)]
    tenfold = [row * 10 for row in single]
    for name in FIGURES:
        one, ten = spread(name, scored(single)), spread(name, scored(tenfold))
        assert one.stderr == pytest.approx(ten.stderr, rel=0.02)
        assert one.low < FIGURES[name][0](scored(single)) < one.high


def test_what_has_no_error_bar() -> None:
    assert math.isnan(spread("sentence_auroc", scored([[(0.5, 1.0)], [(0.2, 1.0)]])).stderr)
    assert math.isnan(spread("sentence_auroc", scored([[(0.5, 1.0), (0.4, 0.0)]])).stderr)


def test_scores_are_probabilities() -> None:
    with pytest.raises(InvalidInputError, match="scores"):
        scored([[(1.5, 1.0)]])
