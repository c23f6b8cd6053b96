"""Documents that belong together: their error bars are those of as many clusters."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import all_names, bind, compare, evaluate
from lm_eval_calibration.metrics.intervals import mean_stderr
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing.calibrators import overconfident

COPIES = 4
MEANS = ("acc", "nll", "brier")


def copied(p: Predictions, copies: int = COPIES) -> tuple[Predictions, np.ndarray]:
    """Each document several times, and which are copies of the same."""
    rows = np.repeat(np.arange(len(p)), copies)
    return p.take(rows), rows


def test_documents_alone_in_their_clusters_are_independent() -> None:
    p = overconfident(120)
    alone = np.array([f"document {i}" for i in range(len(p))])
    one, other = (
        evaluate(p, all_names(), replicates=50),
        evaluate(p, all_names(), replicates=50, clusters=alone),
    )
    np.testing.assert_equal(one, other)


@pytest.mark.parametrize("name", all_names())
def test_copies_of_documents_add_nothing(name: str) -> None:
    p = overconfident(150)
    many, clusters = copied(p)
    alone, together = (
        evaluate(p, [name])[name],
        evaluate(many, [name], clusters=clusters)[name],
    )
    if bind(name).metric.options == () or name != "ace":  # (ties move the edges of equal-mass bins)
        assert together.value == pytest.approx(alone.value, abs=0.02)
    assert together.stderr == pytest.approx(alone.stderr, rel=0.2)
    naive = evaluate(many, [name])[name]
    assert naive.stderr < 0.75 * together.stderr
    if name in MEANS:
        assert together.stderr == pytest.approx(alone.stderr, rel=1e-9)
        assert (together.low, together.high) == pytest.approx((alone.low, alone.high), rel=1e-2)
        assert together.low < alone.low  # (Student's quantile)


def test_the_closed_form_is_miller_s() -> None:
    values, clusters = np.array([1.0, 2.0, 4.0, 5.0]), np.array([0, 0, 1, 1])
    # residuals -2, -1, 1, 2: sums -3 and 3; C / (C - 1) = 2
    assert mean_stderr(values, clusters) == pytest.approx(math.sqrt(2 * 18) / 4)
    assert math.isnan(mean_stderr(values, np.zeros(4)))


def test_one_cluster_says_nothing_of_others() -> None:
    found = evaluate(overconfident(30), replicates=50, clusters=np.zeros(30))
    assert all(math.isnan(e.stderr) and math.isnan(e.low) for e in found.values())
    assert all(math.isfinite(e.value) for e in found.values())


def test_clusters_are_one_label_a_document() -> None:
    with pytest.raises(InvalidInputError, match=r"`clusters` must be a label for each of 30"):
        evaluate(overconfident(30), clusters=[1, 2, 3])


def test_a_comparison_of_copies_is_that_of_the_documents() -> None:
    a, b = overconfident(200, seed=0), overconfident(200, seed=0, temperature=1.5)
    (many_a, clusters), (many_b, _) = copied(a), copied(b)
    names = ("nll", "ece", "auroc")
    alone, together = (
        compare(a, b, names, replicates=500),
        compare(many_a, many_b, names, replicates=500, clusters=clusters),
    )
    for name in names:
        width = [d[name].high - d[name].low for d in (alone, together)]
        assert width[1] == pytest.approx(width[0], rel=0.2)
        assert together[name].detectable == pytest.approx(alone[name].detectable, rel=0.2)


def test_of_unequal_clusters_the_weights_are_documents() -> None:
    """A cluster of fifty and fifty documents alone: about as uncertain as a sum that the fifty carry."""
    rng = np.random.default_rng(0)
    p = Predictions.from_confidences(rng.uniform(size=100), rng.uniform(size=100) < 0.5)
    clusters = np.r_[np.zeros(50), np.arange(1, 51)]
    together, alone = evaluate(p, ["auroc"], clusters=clusters), evaluate(p, ["auroc"])
    assert math.isfinite(together["auroc"].stderr)
    assert together["auroc"].stderr > 0.5 * alone["auroc"].stderr
