"""The error bar and the null of classwise ECE, with few documents and with many."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from lm_eval_calibration.metrics import bind, classwise, classwise_ece, grouping, resampled
from lm_eval_calibration.metrics.classwise import classwise_null
from lm_eval_calibration.predictions import Predictions

Columns = tuple[np.ndarray, np.ndarray]
REPLICATES = 1000


def _columns(n: int, ragged: bool) -> Columns:
    """Over-confident, with 2 to 5 options or with 4."""
    rng = np.random.default_rng(n)
    logits = [rng.normal(0, 2, rng.integers(2, 6) if ragged else 4) for _ in range(n)]
    gold = [int((row / 1.5 + rng.gumbel(size=len(row))).argmax()) for row in logits]
    return bind("classwise_ece").metric.family.read(Predictions.from_options(logits, gold))  # type: ignore


@pytest.mark.parametrize("ragged", [False, True], ids=["4 options", "2 to 5"])
def test_groups_give_the_error_bar_of_documents(
    ragged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two deviations of 1,000 draws, each known to 2.2 %, and 1,000 groups, 2.2 %: four times."""
    columns = _columns(5000, ragged)
    assert len(columns[0]) <= grouping.GROUPS
    one_by_one = bind("classwise_ece").stderr(columns, REPLICATES)
    monkeypatch.setattr(resampled, "random_groups", partial(grouping.random_groups, limit=1000))
    assert bind("classwise_ece").stderr(columns, REPLICATES) == pytest.approx(one_by_one, rel=0.16)


@pytest.mark.parametrize("ragged", [False, True], ids=["4 options", "2 to 5"])
def test_the_normal_null_is_that_of_drawn_options(
    ragged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = _columns(classwise.NORMAL_FROM, ragged)
    drawn = classwise_null(*columns, replicates=REPLICATES)
    monkeypatch.setattr(classwise, "NORMAL_FROM", 0)
    normal = classwise_null(*columns, replicates=REPLICATES)
    assert not np.array_equal(drawn, normal)
    assert normal.std() == pytest.approx(drawn.std(), rel=0.13)
    assert normal.mean() == pytest.approx(drawn.mean(), abs=0.18 * drawn.std())
    ends = np.quantile(drawn, [0.025, 0.975]), np.quantile(normal, [0.025, 0.975])
    np.testing.assert_allclose(*ends, atol=0.5 * drawn.std())


def test_the_null_draws_only_options_that_exist() -> None:
    """Sure of the first option of two, and of one that the other document does not have."""
    nan = np.nan
    p = np.array([[1.0, 0.0, nan], [0.0, 0.0, 1.0]])
    assert classwise_null(p, p == 1.0, replicates=50).tolist() == [0.0] * 50


@pytest.mark.parametrize("limit", [0, 1000], ids=["normal", "drawn"])
def test_a_null_counts_the_documents_with_the_option(
    limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bin of ten with p = .5 on both options: E |normal| sqrt(10 / 4) / 10 = .126 each.

    The third option belongs to none, and the mean over options leaves it out.
    """
    monkeypatch.setattr(classwise, "NORMAL_FROM", limit)
    p = np.tile([0.5, 0.5, np.nan], (10, 1))
    draws = classwise_null(p, np.zeros_like(p), replicates=4000)
    assert draws.mean() == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(2.5) / 10, rel=0.05)


def test_bins_reach_the_null() -> None:
    """In one bin the errors of 5 bins cancel."""
    columns = _columns(500, ragged=False)
    fine, coarse = bind("classwise_ece"), bind("classwise_ece", {"num_bins": 1})
    assert coarse.null_draws(columns, 200).mean() < fine.null_draws(columns, 200).mean()


def test_grouped_weights_are_documents_weights() -> None:
    p, gold = _columns(300, ragged=True)
    rng = np.random.default_rng(0)
    groups = grouping.random_groups(len(p), rng, limit=60)
    weight = grouping.draw_groups(groups, 20, rng)
    grouped = classwise_ece(p, gold, weight=grouping.GroupWeights(groups, weight))
    dense = classwise_ece(p, gold, weight=weight[:, groups.of_document].astype(float))
    np.testing.assert_allclose(grouped, dense, atol=1e-12)
