"""Families: predictions to columns, columns to logged rows and back, error bars of means."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lm_eval_calibration import ragged
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import METRICS, bind
from lm_eval_calibration.metrics.families import (
    ACCURACY,
    BRIER,
    NLL,
    OPTIONS,
    PAIRS,
    TOP_LABEL,
    Family,
)
from lm_eval_calibration.predictions import Predictions

FAMILIES = {
    "ACCURACY": ACCURACY,
    "PAIRS": PAIRS,
    "TOP_LABEL": TOP_LABEL,
    "OPTIONS": OPTIONS,
    "NLL": NLL,
    "BRIER": BRIER,
}
every_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
REPLICATES = 1000


def _ragged() -> Predictions:
    logits = [[0.0, -1.0], [-1.0, 0.3, -np.inf], [2.0], [0.1, 0.2, 0.3, 0.2]]
    return Predictions.from_options(logits, [0, [0, 2], 0, -100])


def _equal(n: int, k: int = 4) -> Predictions:
    rng = np.random.default_rng(n)
    return Predictions.from_options(rng.normal(0, 2, (n, k)), rng.integers(0, k, n))


@every_family
def test_rows_and_back(family: Family) -> None:
    columns = family.read(_ragged())
    rows = family.to_rows(columns)
    assert len(rows) == 4
    back = family.from_rows(json.loads(json.dumps(rows)))
    for column, other in zip(columns, back, strict=False):
        np.testing.assert_array_equal(column, other)


def test_rows_are_small_and_readable() -> None:
    p = Predictions.from_options([[0.0, 0.0], [0.0, 0.0, -np.inf]], [1, [0, 1]])
    assert PAIRS.to_rows(PAIRS.read(p)) == [[0.5, 0], [0.5, 1]]
    assert TOP_LABEL.to_rows(TOP_LABEL.read(p)) == [[0.5, 0, 0], [0.5, 1, 0]]
    assert OPTIONS.to_rows(OPTIONS.read(p)) == [[[0.5, 0.5], [1]], [[0.5, 0.5, 0.0], [0, 1]]]
    assert BRIER.to_rows(BRIER.read(p)) == [0.5, 0.0]


def test_a_document_without_gold_is_logged_as_null() -> None:
    assert NLL.to_rows(NLL.read(_ragged()))[-1] is None
    assert np.isnan(NLL.from_rows([None, 1.0])[0]).tolist() == [True, False]


def test_confidences_alone_do_for_pairs() -> None:
    p = Predictions.from_confidences([0.9, 0.2], [1, 0])
    assert PAIRS.to_rows(PAIRS.read(p)) == [[0.9, 1], [0.2, 0]]
    for family in (TOP_LABEL, OPTIONS, NLL, BRIER):
        with pytest.raises(InvalidInputError, match=r"Predictions\.from_options"):
            family.read(p)


@pytest.mark.parametrize("name", METRICS)
def test_the_example_rows_can_be_scored(name: str) -> None:
    bound = bind(name, {METRICS[name].parameter: 0.5} if METRICS[name].parameter else None)
    assert np.isfinite(bound.value(bound.columns(METRICS[name].family.example)))


@pytest.mark.parametrize("family", [NLL, BRIER], ids=["nll", "brier"])
def test_stderr_of_values_is_the_closed_form(family: Family) -> None:
    columns = family.read(_ragged())
    values = columns[0][:3]  # the fourth document has no gold, hence no value
    expected = np.std(values, ddof=1) / np.sqrt(3)
    assert family.closed_form(columns, 0.0, None).stderr == pytest.approx(expected)


@pytest.mark.parametrize("values", [[1.0], [np.nan, 1.0], [np.nan], [1.0, np.inf]])
def test_stderr_of_values_that_have_none(values: list[float]) -> None:
    assert np.isnan(NLL.closed_form((np.array(values),), 0.0, None).stderr)  # type: ignore[arg-type]


def test_stderr_leaves_out_replicates_without_a_value() -> None:
    columns = np.array([0.9, 0.8, 0.3, 0.2]), np.array([1.0, 1.0, 0.0, 1.0])
    assert np.isfinite(bind("auroc").stderr(columns, 200))
    assert np.isnan(bind("auroc").stderr((columns[0], np.ones(4)), 200))


@pytest.mark.parametrize("family", [NLL, BRIER], ids=["nll", "brier"])
def test_null_of_a_mean_is_the_exact_normal(family: Family) -> None:
    """Against gold options drawn from the model's own probabilities."""
    p = _equal(400)
    rng = np.random.default_rng(3)
    probabilities = p.probabilities
    simulated = []
    for _ in range(REPLICATES):
        drawn = (rng.random(400)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
        other = Predictions.from_options(p.log_probabilities, drawn.clip(0, 3))
        simulated.append(family.read(other)[0].mean())
    draws = family.null(family.read(p), REPLICATES)(None)
    # Standard errors of 1000 draws: .032 deviations for the mean, 2.2 % for the deviation.
    assert draws.mean() == pytest.approx(np.mean(simulated), abs=0.18 * np.std(simulated))
    assert draws.std() == pytest.approx(np.std(simulated), rel=0.13)


def test_null_of_nll_is_the_mean_entropy() -> None:
    p = _equal(400)
    entropy = -(p.probabilities * p.log_probabilities).sum(axis=1).mean()
    draws = NLL.null(NLL.read(p), REPLICATES)(None)  # type: ignore
    assert draws.mean() == pytest.approx(entropy, abs=4 * draws.std() / np.sqrt(REPLICATES))


def test_no_null_where_the_columns_do_not_determine_it() -> None:
    assert NLL.null((np.array([0.1, 0.2]),), 10) is None
    assert NLL.null(NLL.read(_ragged()), 10) is None  # one document has two gold options


@pytest.mark.parametrize("family", [NLL, BRIER], ids=["nll", "brier"])
def test_documents_are_scored_in_blocks(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = family.read(_equal(100))
    monkeypatch.setattr(ragged, "BLOCK_ROWS", 7)
    for column, other in zip(whole, family.read(_equal(100)), strict=True):
        np.testing.assert_array_equal(column, other)
