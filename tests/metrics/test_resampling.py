"""Error bars and null bands against plain loops over documents, one replicate at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kinds import crossed

from lm_eval_calibration.metrics import METRICS, bind, ece, families
from lm_eval_calibration.metrics.binning import equal_width_bins
from lm_eval_calibration.metrics.resampling import (
    CELLS,
    Cells,
    bootstrap_weights,
    cells,
    levels,
    null_weights,
)
from lm_eval_calibration.metrics.table import BoundMetric
from lm_eval_calibration.predictions import Predictions

REPLICATES = 1000
NAMES = [
    f"{name}_0.7" if metric.parameter else name
    for name, metric in METRICS.items()
    if metric.family in (families.PAIRS, families.TOP_LABEL, families.OPTIONS)
]
every_resampled_metric = pytest.mark.parametrize("name", NAMES)

# A deviation of 1000 normal draws is itself uncertain by 1 / sqrt(2000) = 2.2 %. A plain loop of
# 400 by 3.5 %, and the ratio of the two by 4.2 %: 4 of those, and room for heavy tails.
RATIO = 0.2


def _predictions(n: int, ties: bool = False) -> Predictions:
    """Overconfident predictions on four options; `ties` rounds confidence to tenths."""
    rng = np.random.default_rng(n)
    probabilities = rng.dirichlet([0.6] * 4, n)
    if ties:
        top = rng.integers(4, 11, n) / 10
        probabilities = np.stack([top, *[(1 - top) / 3] * 3], axis=1)
        probabilities = rng.permuted(probabilities, axis=1)
    true = 0.7 * probabilities + 0.3 / 4
    gold = (rng.random(n)[:, None] > true.cumsum(axis=1)).sum(axis=1)
    with np.errstate(divide="ignore"):
        return Predictions.from_options(np.log(probabilities), gold.clip(0, 3))


def _columns(bound: BoundMetric, predictions: Predictions) -> tuple[np.ndarray, ...]:
    """The columns; confidences on the grid exactly, so that ties are ties."""
    columns = bound.metric.family.read(predictions)
    return (np.round(columns[0], 12), *columns[1:])


def _reference_index_bootstrap(bound: BoundMetric, columns: Any, replicates: int) -> float:
    rng = np.random.default_rng(1)
    n = len(columns[0])
    draws = []
    for _ in range(replicates):
        picked = rng.integers(0, n, n)
        draws.append(bound.score(*(column[picked] for column in columns)))
    return float(np.std(draws, ddof=1))


def _reference_simulated_null(bound: BoundMetric, columns: Any, replicates: int) -> np.ndarray:
    """Draw every document's verdict (or gold option) anew from the model's own belief."""
    rng = np.random.default_rng(2)
    belief, truth, *labels = columns
    draws = []
    for _ in range(replicates):
        u = rng.random(len(belief))
        if bound.metric.family is families.OPTIONS:
            drawn = (u[:, None] > belief.cumsum(axis=1)).sum(axis=1).clip(0, truth.shape[1] - 1)
            draws.append(bound.score(belief, drawn[:, None] == np.arange(truth.shape[1])))
        else:
            draws.append(bound.score(belief, u < belief, *labels))
    return np.array(draws)


@pytest.mark.parametrize(
    ("name", "size"),
    crossed(NAMES, [(400, False), (400, True), (2 * CELLS + 100, False)]),
)
def test_stderr_equals_the_plain_bootstrap(name: str, size: tuple[int, bool]) -> None:
    n, ties = size
    bound = bind(name)
    columns = _columns(bound, _predictions(n, ties))
    expected = _reference_index_bootstrap(bound, columns, 400)
    assert bound.stderr(columns, REPLICATES) == pytest.approx(expected, rel=RATIO)


@pytest.mark.parametrize(("name", "n"), crossed(NAMES, [400, 2 * CELLS + 100]))
def test_null_equals_plain_simulation(name: str, n: int) -> None:
    bound = bind(name)
    columns = _columns(bound, _predictions(n))
    draws = bound.null_draws(columns, REPLICATES)
    expected = _reference_simulated_null(bound, columns, 400)
    assert draws.std() == pytest.approx(expected.std(), rel=RATIO)
    # The means differ by 1 / sqrt(1000) and 1 / sqrt(400) deviations: together 0.06; four times.
    assert draws.mean() == pytest.approx(expected.mean(), abs=0.24 * expected.std())


def test_stderr_of_a_mean_is_the_closed_form() -> None:
    confidence, correct = families.PAIRS.read(_predictions(500))
    accuracy = lambda c, y, weight: weight @ y / weight.sum(axis=-1)  # noqa: E731
    value = families.PAIRS.bootstrap((confidence, correct), REPLICATES).draws(accuracy).std()
    assert value == pytest.approx(correct.std() / np.sqrt(500), rel=0.1)  # 4.5 times 2.2 %


@every_resampled_metric
def test_deterministic(name: str) -> None:
    bound = bind(name)
    columns = _columns(bound, _predictions(200))
    first = bound.stderr(columns, 50), bound.null_draws(columns, 50).tolist()
    bootstrap_weights(np.array([1, 2]), 3)  # other draws in between, also in the cache
    null_weights(Cells(np.array([0.5]), (), np.array([2]), np.arange(2)), 3)
    assert (bound.stderr(columns, 50), bound.null_draws(columns, 50).tolist()) == first


@pytest.mark.parametrize("name", ["ece", "smece", "auroc", "classwise_ece"])
def test_row_order_hardly_moves_the_error_bar(name: str) -> None:
    bound = bind(name)
    columns = _columns(bound, _predictions(400))
    shuffled = tuple(column[::-1] for column in columns)
    assert bound.stderr(shuffled, REPLICATES) == pytest.approx(
        bound.stderr(columns, REPLICATES), rel=RATIO
    )


def test_a_calibrated_model_lies_inside_its_null_band() -> None:
    """95 times in 100: of 200 models 190, with a standard deviation of 3."""
    rng = np.random.default_rng(11)
    inside = []
    for _ in range(200):
        confidence = rng.beta(3, 1.5, 250)
        correct = rng.random(250) < confidence
        low, high = np.quantile(bind("ece").null_draws((confidence, correct), 400), [0.025, 0.975])
        inside.append(low <= ece(confidence, correct) <= high)
    assert 0.90 <= np.mean(inside) <= 0.99


def test_the_null_of_ece_falls_like_one_over_root_n() -> None:
    """A calibrated model's plug-in ECE is all bias: four times the documents, half the value."""
    means = []
    for n in (300, 1200, 4800):
        confidence = np.random.default_rng(n).beta(3, 1.5, n)
        means.append(bind("ece").null_draws((confidence, confidence > 0.5), 400).mean())
    assert means[0] / means[1] == pytest.approx(2.0, rel=0.1)
    assert means[1] / means[2] == pytest.approx(2.0, rel=0.1)
    assert 0.03 < means[0] < 0.08  # the order of magnitude of the documented .052


def _tenths(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 11, n) / 10, rng.random(n) < 0.5


def test_cells_are_the_distinct_documents() -> None:
    confidence, correct = _tenths(500)
    group = cells(confidence, correct)
    kinds = sorted(zip(confidence.tolist(), correct.tolist(), strict=True))
    found = zip(group.confidence.tolist(), group.labels[0].tolist(), strict=True)
    assert dict(zip(found, group.counts.tolist(), strict=True)) == {
        kind: kinds.count(kind) for kind in set(kinds)
    }


@pytest.mark.parametrize("classes", [1, 2, 4])
@pytest.mark.parametrize("n", [CELLS, CELLS + 1, 5 * CELLS + 7])
def test_many_documents_are_blocks_of_neighbours(n: int, classes: int) -> None:
    rng = np.random.default_rng(n)
    confidence, correct = rng.random(n), rng.random(n) < 0.7
    predicted = rng.integers(0, classes, n)
    group = cells(confidence, correct, predicted)
    assert len(group.counts) <= CELLS
    assert group.counts.sum() == n
    assert group.counts @ group.labels[0] == correct.sum()
    assert group.counts @ group.confidence == pytest.approx(confidence.sum())
    if n > CELLS:
        assert group.counts.max() <= np.ceil(n / CELLS)


def test_a_cell_knows_its_documents() -> None:
    confidence, correct = _tenths(500)
    group = cells(confidence, correct)
    np.testing.assert_array_equal(confidence[group.members], group.confidence.repeat(group.counts))
    np.testing.assert_array_equal(correct[group.members], group.labels[0].repeat(group.counts))


@pytest.mark.parametrize("n", [3 * CELLS, 20 * CELLS])
def test_large_cells_share_confidences_and_keep_to_a_bin(n: int) -> None:
    rng = np.random.default_rng(n)
    confidence = rng.beta(3, 1.5, n)
    correct, predicted = rng.random(n) < confidence, rng.integers(0, 4, n)
    group = cells(confidence, correct, predicted, separate_up_to=0)
    assert len(group.counts) <= CELLS
    assert len(np.unique(group.confidence)) <= CELLS // 8
    assert group.counts.sum() == n
    bins = equal_width_bins(confidence[group.members], 15)
    assert (bins == equal_width_bins(group.confidence, 15).repeat(group.counts)).all()
    once = group.counts[None].astype(float)
    value = ece(confidence, correct)
    coarse = ece(group.confidence, group.labels[0], weight=once)
    assert coarse[0] == pytest.approx(value, abs=1e-9)


def test_levels_keep_ties_and_few_values() -> None:
    confidence, _ = _tenths(500)
    assert levels(confidence, 11) is confidence
    found = levels(np.repeat([0.1, 0.2, 0.3], [3, 1, 96]), 2)
    assert len(np.unique(found)) == 3  # the bins of .1, .2 and .3 differ
    assert found.mean() == pytest.approx(0.1 * 0.03 + 0.2 * 0.01 + 0.3 * 0.96)
    assert (found[4:] == 0.3).all()


@pytest.mark.parametrize("name", ["ece", "mce", "rmsce", "smece", "brier_reliability"])
def test_replicates_of_many_documents_scatter_around_the_value(name: str) -> None:
    """60,000 documents in 2,048 cells: their own value is within a standard error of the exact."""
    bound = bind(name)
    rng = np.random.default_rng(0)
    confidence = rng.beta(3, 1.5, 60_000)
    columns = confidence, rng.random(60_000) < confidence**1.1
    resampled = families.PAIRS.bootstrap(columns, 200)
    shift = resampled.centre(bound.score) - bound.value(columns)
    assert abs(shift) < resampled.draws(bound.score).std()


def test_every_label_keeps_a_cell() -> None:
    confidence, label = np.linspace(0.0, 1.0, 100), np.arange(100) % 10
    group = cells(confidence, label, limit=3)
    assert group.labels[0].tolist() == list(range(10))
    assert group.counts.tolist() == [10] * 10


@pytest.mark.parametrize("n", [1, 300, 3 * CELLS])
def test_weights_are_whole_documents(n: int) -> None:
    confidence, correct = np.linspace(0.0, 1.0, n), np.arange(n) % 3 > 0
    group = cells(confidence, correct)
    drawn = bootstrap_weights(group.counts, 20)
    assert drawn.shape == (20, len(group.counts))
    assert (drawn.sum(axis=1) == n).all()
    group = cells(confidence)
    right, wrong = np.split(null_weights(group, 20), 2, axis=1)
    assert (right + wrong == group.counts).all()
    certain = group.confidence == 0.0
    assert (right[:, certain] == 0).all()
