"""Laws that every metric obeys: a row added to `METRICS` is tested here without another line."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES

from lm_eval_calibration.metrics import (
    METRICS,
    acc_at_coverage,
    aurc,
    auroc,
    bind,
    brier_reliability,
    brier_resolution,
    brier_uncertainty,
    eaurc,
    ece,
    prr,
    rmsce,
    smece,
    tl_ece,
)
from lm_eval_calibration.metrics.table import BoundMetric
from lm_eval_calibration.predictions import Predictions

NAMES = [f"{name}_0.7" if metric.parameter else name for name, metric in METRICS.items()]
few = settings(
    derandomize=True,
    deadline=None,
    max_examples=8 * EXAMPLES,
    phases=[Phase.explicit, Phase.generate],  # a failure is reported as found, in bounded time
)
more = settings(few, max_examples=30 * EXAMPLES)

SIZE_MATTERS = {
    "debiased_ece": "subtracts the sampling noise, which falls with the number of documents",
    "aurc": "averages over k = 1..N, a grid that is finer for more documents",
    "eaurc": "as aurc",
    "prr": "as aurc",
}
POSITION_MATTERS = {
    "tl_ece": "its classes are option positions",
    "classwise_ece": "its classes are option positions",
}
every_metric = pytest.mark.parametrize("name", NAMES)
without_size = pytest.mark.parametrize("name", [n for n in NAMES if n not in SIZE_MATTERS])
without_position = pytest.mark.parametrize("name", [n for n in NAMES if n not in POSITION_MATTERS])
COARSE = {"smece": 2e-3}  # (B, N) weights use 1,024 cells instead of 4,096: two coarse cells

# Quarters up to 800: adding an integer is exact, ties are frequent, and p = 0 and p = 1 occur,
# both from -inf and from a gap of 800 nats.
LOGITS = st.sampled_from([-math.inf, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 3.0, 800.0])
GOLD = st.one_of(st.integers(-1, 5), st.lists(st.integers(0, 5), max_size=3))
Documents = list[tuple[list[float], Any]]


@st.composite
def _documents(draw: st.DrawFn, unique: bool = False) -> Documents:
    """1 to 40 documents, made of up to 8 rows of options and up to 4 golds, hence with many ties."""
    row = st.lists(LOGITS, min_size=1 + unique, max_size=6, unique=unique)
    options = draw(st.lists(row.map(_alive), min_size=1, max_size=8))
    golds = draw(st.lists(GOLD, min_size=1, max_size=4))
    kinds = [(logits, gold) for logits in options for gold in golds]
    n = draw(st.integers(1, 40))
    return draw(st.lists(st.sampled_from(kinds), min_size=n, max_size=n))


def _alive(row: list[float]) -> list[float]:
    return row if max(row) > -math.inf else [0.0, *row[1:]]


DOCUMENTS = _documents()
COLUMNS = DOCUMENTS.map(lambda documents: _predictions(documents))


def _predictions(documents: Documents) -> Predictions:
    return Predictions.from_options(*zip(*documents, strict=True))


def _rows(name: str, documents: Documents) -> tuple[BoundMetric, list[Any]]:
    bound = bind(name)
    return bound, bound.rows(_predictions(documents))


def _score(bound: BoundMetric, rows: list[Any], weight: Any = None) -> Any:
    return bound.score(*bound.columns(rows), weight=weight)


def _same(value: Any, tolerance: float = 5e-9) -> Any:
    """Equal up to rounding; smECE is found by bisection, to 2^-30."""
    return pytest.approx(value, rel=1e-9, abs=tolerance, nan_ok=True)


@every_metric
@given(documents=DOCUMENTS, shuffle=st.randoms(use_true_random=False))
@few
def test_row_order_does_not_matter(name: str, documents: Documents, shuffle: Any) -> None:
    bound, rows = _rows(name, documents)
    _, other = _rows(name, shuffle.sample(documents, len(documents)))
    assert _score(bound, other) == _same(_score(bound, rows))


@without_size
@given(documents=DOCUMENTS, times=st.integers(2, 3))
@few
def test_duplicating_every_row_changes_nothing(name: str, documents: Documents, times: int) -> None:
    """Nor does any other common factor in the weights."""
    bound, rows = _rows(name, documents)
    value = _score(bound, rows)
    assert _score(bound, rows * times) == _same(value)
    assert _score(bound, rows, np.full(len(rows), 0.37)) == _same(value)


def test_size_matters_where_it_is_said_to() -> None:
    rows = [[0.9, 0], [0.9, 1], [0.9, 0], [0.4, 1], [0.3, 1], [0.2, 1]]
    for name in SIZE_MATTERS:
        assert _score(bind(name), rows * 2) != _same(_score(bind(name), rows))


@every_metric
@given(documents=DOCUMENTS, data=st.data())
@few
def test_weight_counts_rows(name: str, documents: Documents, data: st.DataObject) -> None:
    """Weight 2 is a row twice; weight 0 is a row removed."""
    n = len(documents)
    weight = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    bound, rows = _rows(name, documents)
    counted = [row for row, times in zip(rows, weight, strict=True) for _ in range(times)]
    assert _score(bound, rows, np.array(weight)) == _same(_score(bound, counted))


@every_metric
@given(documents=DOCUMENTS)
@few
def test_weight_one_is_no_weight(name: str, documents: Documents) -> None:
    bound, rows = _rows(name, documents)
    assert _score(bound, rows, np.ones(len(rows))) == _same(_score(bound, rows))


@every_metric
@given(documents=DOCUMENTS, data=st.data())
@few
def test_rows_of_weights_are_separate_calls(
    name: str, documents: Documents, data: st.DataObject
) -> None:
    n = len(documents)
    weights = st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.25, 2.0]), min_size=n, max_size=n).filter(
        any
    )
    weight = np.array(data.draw(st.lists(weights, min_size=1, max_size=4)))
    bound, rows = _rows(name, documents)
    together = _score(bound, rows, weight)
    assert together.shape == (len(weight),)
    separate = [_score(bound, rows, w) for w in weight]
    assert together.tolist() == _same(separate, COARSE.get(name, 1e-9))


@every_metric
@given(documents=DOCUMENTS)
@few
def test_value_is_a_float_within_bounds(name: str, documents: Documents) -> None:
    bound, rows = _rows(name, documents)
    value = _score(bound, rows)
    low, high = bound.metric.bounds
    assert type(value) is float
    assert math.isnan(value) or low - 1e-12 <= value <= high + 1e-12


@every_metric
@given(documents=DOCUMENTS, data=st.data())
@few
def test_adding_a_constant_to_a_row_changes_nothing(
    name: str, documents: Documents, data: st.DataObject
) -> None:
    n = len(documents)
    constants = data.draw(st.lists(st.integers(-500, 500), min_size=n, max_size=n))
    shifted = [
        ([logit + constant for logit in logits], gold)
        for constant, (logits, gold) in zip(constants, documents, strict=True)
    ]
    assert _rows(name, shifted)[1] == _rows(name, documents)[1]


@without_position
@given(documents=_documents(unique=True), shuffle=st.randoms(use_true_random=False))
@few
def test_option_order_does_not_matter(name: str, documents: Documents, shuffle: Any) -> None:
    """Where no two options tie for the prediction."""
    bound, rows = _rows(name, documents)
    _, other = _rows(name, [_permuted(shuffle, *document) for document in documents])
    assert _score(bound, other) == _same(_score(bound, rows))


def _permuted(shuffle: Any, logits: list[float], gold: Any) -> tuple[list[float], list[int]]:
    order = shuffle.sample(range(len(logits)), len(logits))
    right = {gold} if isinstance(gold, int) else set(gold)
    return [logits[old] for old in order], [new for new, old in enumerate(order) if old in right]


@every_metric
@given(documents=DOCUMENTS)
@few
def test_logged_rows_give_the_identical_value(name: str, documents: Documents) -> None:
    bound, rows = _rows(name, documents)
    direct = bound.value(bound.metric.family.read(_predictions(documents)))
    logged = bound.value(bound.columns(json.loads(json.dumps(rows))))
    assert logged == direct or (math.isnan(logged) and math.isnan(direct))


@every_metric
@given(counts=st.lists(st.integers(1, 6), min_size=1, max_size=20), data=st.data())
@few
def test_certain_and_right_is_the_best_score(
    name: str, counts: list[int], data: st.DataObject
) -> None:
    gold = [data.draw(st.integers(0, count - 1)) for count in counts]
    logits = [np.where(np.arange(k) == g, 0.0, -np.inf) for k, g in zip(counts, gold, strict=True)]
    bound = bind(name)
    value = bound.value(bound.metric.family.read(Predictions.from_options(logits, gold)))
    if name in ("auroc", "prr"):
        assert math.isnan(value)  # no wrong answer to compare with
    elif name == "brier_resolution":
        assert value == 0.0  # nothing to discriminate
    else:
        assert value == _same(1.0 if bound.metric.higher_is_better else 0.0)


@given(COLUMNS)
@more
def test_one_bin_is_the_gap_of_the_means(p: Predictions) -> None:
    gap = abs(p.confidence.mean() - p.correct.mean())
    assert ece(p.confidence, p.correct, num_bins=1) == pytest.approx(gap, abs=1e-12)
    assert rmsce(p.confidence, p.correct, num_bins=1) == pytest.approx(gap, abs=1e-12)


@given(COLUMNS)
@more
def test_smece_is_not_below_the_gap_of_the_means(p: Predictions) -> None:
    assert smece(p.confidence, p.correct) >= abs(np.mean(p.confidence - p.correct)) - 1e-8


@given(COLUMNS, st.integers(1, 20))
@more
def test_rmsce_and_tl_ece_are_not_below_ece(p: Predictions, num_bins: int) -> None:
    value = ece(p.confidence, p.correct, num_bins=num_bins)
    assert rmsce(p.confidence, p.correct, num_bins=num_bins) >= value - 1e-12
    assert tl_ece(p.confidence, p.correct, p.predicted, num_bins=num_bins) >= value - 1e-12


@given(COLUMNS)
@more
def test_corp_parts_add_up(p: Predictions) -> None:
    arguments = p.confidence, p.correct
    total = brier_reliability(*arguments) - brier_resolution(*arguments)
    total += brier_uncertainty(*arguments)
    assert total == pytest.approx(np.mean((p.confidence - p.correct) ** 2), abs=1e-12)


@given(COLUMNS)
@more
def test_auroc_of_the_opposite_verdict(p: Predictions) -> None:
    assert auroc(p.confidence, ~p.correct) == _same(1.0 - auroc(p.confidence, p.correct))


@given(COLUMNS)
@more
def test_selective_metrics_read_the_ranks_alone(p: Predictions) -> None:
    levels, rank = np.unique(p.confidence, return_inverse=True)
    transformed = ((rank + 1) / len(levels)) ** 3
    for score in (auroc, aurc, eaurc, prr):
        assert score(transformed, p.correct) == _same(score(p.confidence, p.correct))
    for coverage in (0.1, 0.5, 1.0):
        value = acc_at_coverage(p.confidence, p.correct, coverage=coverage)
        assert acc_at_coverage(transformed, p.correct, coverage=coverage) == _same(value)
