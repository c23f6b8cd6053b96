"""Rows of different lengths: one document of many options costs itself alone, and changes nothing."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration import ragged
from lm_eval_calibration.calibrators import fit
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import all_names, bind, classwise_ece, evaluate
from lm_eval_calibration.metrics.classwise import classwise_null
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.ragged import Ragged, blocks, by_rows, positions

counts = st.lists(st.integers(1, 90), min_size=1, max_size=30)
few = settings(derandomize=True, deadline=None, max_examples=40)


def drawn(count: list[int], seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    logits = [rng.normal(0, 2, k) for k in count]
    return Predictions.from_options(logits, [int(rng.integers(k)) for k in count])


@given(counts)
@few
def test_blocks_hold_every_row_once_and_pad_little(count: list[int]) -> None:
    sizes = np.array(count, dtype=np.intp)
    values = np.arange(sizes.sum(), dtype=np.float64)
    rows: list[int] = []
    for block in blocks(sizes):
        matrix = block.padded(values, -1.0)
        rows += [int(matrix[i, 0]) for i in range(len(matrix))]
        assert matrix.size <= max(2 * block.count.sum(), len(matrix) * ragged.TOGETHER)
        assert (block.flat(matrix) == values[block.places]).all()
    assert sorted(rows) == (np.cumsum(sizes) - sizes).tolist()
    doubled = by_rows(lambda m: 2 * m, values, sizes, 0.0)
    assert (doubled == 2 * values).all()
    assert positions(sizes).tolist() == [i for k in count for i in range(k)]


@given(counts, st.randoms(use_true_random=False))
@few
def test_rows_are_taken_as_of_a_list(count: list[int], random: object) -> None:
    whole = Ragged(np.arange(sum(count)), np.array(count, dtype=np.intp))
    rows = np.random.default_rng(len(count)).integers(0, len(count), 7)
    as_list = [row.tolist() for row in whole]
    assert [row.tolist() for row in whole.take(rows)] == [as_list[i] for i in rows]
    assert whole.padded(-1).shape == (len(count), max(count))


@given(counts)
@few
def test_a_document_has_the_same_beliefs_beside_longer_ones(count: list[int]) -> None:
    together = drawn(count)
    for i in range(len(count)):
        alone = together.take(np.array([i]))
        again = Predictions.from_flat(alone.options.values, alone.options.count, alone.golds.values)  # type: ignore[union-attr]
        assert again.confidence[0] == pytest.approx(together.confidence[i], rel=1e-12)
        assert alone.predicted == again.predicted
    longer = Predictions.concatenate([together, drawn([500], 1)])
    assert longer.confidence[: len(count)].tolist() == together.confidence.tolist()


def test_every_metric_is_what_it_is_of_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same documents, once all padded to the longest and once in blocks."""
    count = [3, 4, 40, 5, 90, 4, 18] * 12
    p = drawn(count)
    found = evaluate(p, list(all_names()), replicates=200)
    monkeypatch.setattr(ragged, "TOGETHER", 100)
    padded = evaluate(p, list(all_names()), replicates=200)
    for name, e in padded.items():
        assert found[name].value == pytest.approx(e.value, rel=1e-12, nan_ok=True), name
        rel = 0.05 if name == "classwise_ece" else 1e-9  # (other null draws)
        assert found[name].low == pytest.approx(e.low, rel=rel, nan_ok=True), name
        if e.null is not None and found[name].null is not None:
            assert found[name].null.mean == pytest.approx(e.null.mean, rel=rel, abs=1e-9), name  # type: ignore[union-attr]


def test_classwise_ece_of_ragged_columns_and_weights() -> None:
    bound = bind("classwise_ece")
    p, gold = bound.metric.family.read(drawn([3, 4, 40, 5] * 5))
    assert isinstance(p, Ragged) and isinstance(gold, Ragged)
    dense = p.padded(np.nan), gold.padded(False)
    weight = np.random.default_rng(0).integers(0, 3, (4, 20)).astype(float)
    for w in (None, weight[0], weight):
        assert np.allclose(classwise_ece(p, gold, weight=w), classwise_ece(*dense, weight=w))
    rows = bound.metric.family.to_rows((p, gold))  # type: ignore[arg-type]
    back = bound.columns(rows)
    assert all((a.padded(0) == b.padded(0)).all() for a, b in zip(back, (p, gold), strict=True))  # type: ignore[union-attr]
    null = classwise_null(p, gold, replicates=300).mean()
    assert null == pytest.approx(classwise_null(*dense, replicates=300).mean(), rel=0.05)


@pytest.mark.parametrize(
    "method", ["temperature", "isotonic", "platt", "inverse_softmax", "resoftmax"]
)
def test_calibrators_map_long_documents_as_they_do_short_ones(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    p = drawn([3, 4, 40, 5, 90, 4, 18] * 12)
    mapped = fit(method, p).transform(p).confidence
    monkeypatch.setattr(ragged, "TOGETHER", 100)
    assert mapped == pytest.approx(fit(method, p).transform(p).confidence, rel=1e-6)


def test_vector_scaling_wants_positions_that_documents_share() -> None:
    with pytest.raises(InvalidInputError, match=r"from 4 to 5000\. Use `temperature`"):
        fit("vector", drawn([4] * 50 + [5000]))


def test_one_long_document_costs_itself_alone() -> None:
    """In a matrix these would be 160 MB, several times."""
    tracemalloc.start()
    try:
        p = drawn([4] * 2000 + [10_000])
        evaluate(p, ["acc", "nll", "brier", "ece", "tl_ece", "classwise_ece"], replicates=20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6
