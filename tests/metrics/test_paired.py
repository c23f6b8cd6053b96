"""Paired differences: laws over every metric, other libraries' tests, and the error of the test."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES
from scipy.stats import binomtest, ttest_rel

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics import (
    Difference,
    all_names,
    bind,
    compare,
    evaluate,
    grouping,
    holm,
    mcnemar,
    paired,
)
from lm_eval_calibration.metrics.grouping import random_groups
from lm_eval_calibration.metrics.intervals import p_value, symmetric_interval
from lm_eval_calibration.predictions import Predictions

few = settings(
    derandomize=True,
    deadline=None,
    max_examples=8 * EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
)
every_metric = pytest.mark.parametrize("name", all_names())
SIZE_MATTERS = {"debiased_ece", "aurc", "eaurc", "prr"}
WIDE = [
    pytest.param(name, *size, marks=() if name in few_names else pytest.mark.exhaustive)
    for size, few_names in (((300, 300), ("ece", "aurc", "nll")), ((3000, 1000), ("auroc", "ace")))
    for name in all_names()
]
"""Single documents, and groups of them."""


def _pair(n: int, seed: int = 0, sharp: float = 1.0) -> tuple[Predictions, Predictions]:
    """Two noisy models of one truth on n documents of 4 options, the second sharper."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1.5, (n, 4))
    gold = (truth + rng.gumbel(size=truth.shape)).argmax(axis=1).tolist()
    noisy = [truth + rng.normal(0, 0.7, truth.shape) for _ in range(2)]
    return Predictions.from_options(noisy[0], gold), Predictions.from_options(
        sharp * noisy[1], gold
    )


@st.composite
def _documents(draw: st.DrawFn) -> tuple[list[Any], list[Any], list[int]]:
    """Option scores of two models and the gold options: 2 to 30 ragged documents, with ties."""
    n = draw(st.integers(2, 30))
    scores = st.sampled_from([-math.inf, -1.0, 0.0, 0.5, 2.0, 800.0])
    counts = [draw(st.integers(1, 5)) for _ in range(n)]
    rows = [[[0.0, *(draw(scores) for _ in range(k - 1))] for k in counts] for _ in range(2)]
    return rows[0], rows[1], [draw(st.integers(-1, k - 1)) for k in counts]


def _predictions(rows: list[Any], gold: list[int]) -> Predictions:
    return Predictions.from_options(rows, gold)


def _same(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=5e-9, nan_ok=True)


def _numbers(d: Difference) -> list[float]:
    return [d.difference, d.low, d.high, d.p_value]


@given(documents=_documents())
@few
def test_a_model_does_not_differ_from_itself(documents: Any) -> None:
    p = _predictions(documents[0], documents[2])
    for name, d in compare(p, p, replicates=50).items():
        if math.isfinite(d.a):
            assert _numbers(d) == [0.0, 0.0, 0.0, 1.0], name
        else:
            assert all(math.isnan(number) for number in _numbers(d)), name


@given(documents=_documents())
@few
def test_swapping_the_models_turns_the_sign(documents: Any) -> None:
    a, b, gold = documents
    one, other = _predictions(a, gold), _predictions(b, gold)
    forth, back = compare(one, other, replicates=50), compare(other, one, replicates=50)
    for name in all_names():
        d, e = forth[name], back[name]
        assert (d.a, d.b) == _same((e.b, e.a))
        assert [d.difference, d.low, d.high] == _same([-e.difference, -e.high, -e.low])


@pytest.mark.parametrize("n", [100, 3000])
def test_swapping_the_models_keeps_the_p_value(n: int) -> None:
    one, other = _pair(n)
    forth, back = compare(one, other, replicates=200), compare(other, one, replicates=200)
    assert {n: d.p_value for n, d in forth.items()} == {n: d.p_value for n, d in back.items()}


@given(documents=_documents())
@few
def test_the_interval_is_around_the_difference_of_the_values(documents: Any) -> None:
    a, b, gold = documents
    one, other = _predictions(a, gold), _predictions(b, gold)
    apart = [evaluate(p, all_names(), replicates=0) for p in (one, other)]
    for name, d in compare(one, other, replicates=50).items():
        assert (d.a, d.b) == pytest.approx(
            (apart[0][name].value, apart[1][name].value), nan_ok=True
        )
        low, high = bind(name).metric.bounds
        if not math.isnan(d.p_value):
            assert low - high <= d.low <= d.difference == d.b - d.a <= d.high <= high - low
            assert 0.0 < d.p_value <= 1.0


@pytest.mark.parametrize("name", sorted(set(all_names()) - SIZE_MATTERS))
def test_duplicating_every_row_keeps_the_difference(name: str) -> None:
    pair = _pair(60)
    twice = [Predictions.concatenate([p, p]) for p in pair]
    once = compare(*pair, [name], replicates=20)[name].difference
    assert compare(*twice, [name], replicates=20)[name].difference == _same(once)


@every_metric
def test_row_order_changes_nothing_beyond_the_draw(name: str) -> None:
    a, b = _pair(400)
    order = np.random.default_rng(1).permutation(400)
    one = compare(a, b, [name], replicates=1000)[name]
    other = compare(_picked(a, order), _picked(b, order), [name], replicates=1000)[name]
    assert other.difference == _same(one.difference)
    width = one.high - one.low  # an end of 1,000 replicates is known to 3 % of the width
    assert [other.low, other.high] == pytest.approx([one.low, one.high], abs=0.2 * width + 1e-9)


def _picked(p: Predictions, rows: np.ndarray) -> Predictions:
    return Predictions.from_padded(p.log_probabilities[rows], p.num_options[rows], p.gold[rows])


def _reference_paired_bootstrap(a: Predictions, b: Predictions, name: str, times: int) -> float:
    """Standard error of the difference, one replicate at a time."""
    rng, draws = np.random.default_rng(5), []
    for _ in range(times):
        rows = rng.integers(0, len(a), len(a))
        pair = [evaluate(_picked(p, rows), [name], replicates=0)[name].value for p in (a, b)]
        draws.append(pair[1] - pair[0])
    return float(np.std(draws))


@pytest.mark.parametrize(("name", "n", "limit"), WIDE)
def test_the_interval_is_as_wide_as_the_plain_bootstrap_s(
    name: str, n: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deviation of 300 loops is known to 4 %, the two tails of 1,000 to 5 %: three times both."""
    monkeypatch.setattr(grouping, "random_groups", partial(random_groups, limit=limit))
    a, b = _pair(n, sharp=1.3)
    d = compare(a, b, [name], replicates=1000)[name]
    expected = _reference_paired_bootstrap(a, b, name, 300)
    if name == "mce":  # the largest of 15 gaps is far from normal
        assert 2 * expected < d.high - d.low < 6 * expected
    else:
        assert d.high - d.low == pytest.approx(2 * 1.96 * expected, rel=0.25)


@pytest.mark.parametrize("n", [2000, 40_000])
@pytest.mark.parametrize("name", ["brier", "nll"])
def test_a_mean_agrees_with_the_paired_t_test(name: str, n: int) -> None:
    a, b = _pair(n, sharp=1.0 + 3 / np.sqrt(n))
    family = bind(name).metric.family
    result = ttest_rel(family.read(b)[0], family.read(a)[0])
    d = compare(a, b, [name])[name]
    interval = result.confidence_interval()
    width = interval.high - interval.low
    assert (d.low, d.high) == pytest.approx((interval.low, interval.high), abs=0.06 * width)
    assert d.p_value == pytest.approx(result.pvalue, abs=0.03)


@pytest.mark.exhaustive
def test_equal_models_are_told_apart_5_times_in_100() -> None:
    """Of 300 pairs 15, with a standard deviation of 3.8; three of those. Binned errors are below."""
    names = ["acc", "brier", "auroc", "aurc", "ece", "mce", "debiased_ece"]
    pairs = (_pair(200, seed) for seed in range(300))
    p = [[d.p_value for d in compare(*pair, names, replicates=199).values()] for pair in pairs]
    told_apart = (np.array(p) <= 0.05).mean(axis=0)
    assert (told_apart < 0.09).all()
    assert (told_apart[:4] > 0.01).all()


def test_blocks_of_replicates_are_one_sequence_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _pair(100)
    done: list[str] = []
    whole = compare(a, b, ["acc", "ece", "nll", "classwise_ece"], replicates=50)
    monkeypatch.setattr(paired, "_BLOCK", 700)
    parts = compare(a, b, list(whole), replicates=50, progress=done.append)
    for name, d in whole.items():
        assert _numbers(parts[name]) == _same(_numbers(d))
    assert done == list(whole)


@given(
    difference=st.integers(-5, 5), errors=st.lists(st.integers(-5, 5), min_size=20, max_size=400)
)
@few
def test_0_is_outside_the_interval_where_p_is_below_5_percent(
    difference: int, errors: list[int]
) -> None:
    low, high = symmetric_interval(difference, np.array(errors))
    assert (p_value(difference, np.array(errors)) < 0.05) == (not low <= 0 <= high)


@pytest.mark.parametrize("replicates", [20, 99, 199, 999, 1000, 2000])
def test_interval_and_p_value_are_inverse_at_every_tail(replicates: int) -> None:
    errors = np.arange(replicates) - (replicates - 1) / 2
    for difference in np.linspace(0, replicates / 2, 3 * replicates):
        low, _ = symmetric_interval(difference, errors)
        assert (p_value(difference, errors) < 0.05) == (low > 0)


def test_undefined_differences() -> None:
    right = Predictions.from_options([[0.0, 1.0]] * 4, [1] * 4)
    mixed = Predictions.from_options([[0.0, 1.0], [0.0, 2.0]] * 2, [1, 0] * 2)
    d = compare(right, mixed, ["auroc"], replicates=20)["auroc"]
    assert math.isnan(d.difference) and math.isnan(d.low) and math.isnan(d.p_value)
    ruled_out = Predictions.from_options([[0.0, -math.inf]] * 4, [1, 0] * 2)
    d = compare(mixed, ruled_out, ["nll"], replicates=20)["nll"]
    assert d.difference == math.inf and math.isnan(d.high) and math.isnan(d.p_value)


def test_documents_without_gold_are_left_out_of_means() -> None:
    a, b = _pair(50)
    more = [
        Predictions.concatenate([p, Predictions.from_options([[0.0, 5.0]], [-100])]) for p in (a, b)
    ]
    d = compare(*more, ["nll"], replicates=500)["nll"]
    assert d.difference == pytest.approx(compare(a, b, ["nll"], replicates=2)["nll"].difference)
    assert d.high - d.low > 0


def test_confidences_alone() -> None:
    a, b = _pair(30)
    stated = Predictions.from_confidences(b.confidence, b.correct)
    found = compare(a, stated, replicates=20)
    assert set(all_names()) - set(found) == {"nll", "brier", "tl_ece", "classwise_ece"}
    with pytest.raises(InvalidInputError, match="needs the probability of every option"):
        compare(a, stated, ["nll"])


def test_arguments_that_make_no_sense() -> None:
    a, b = _pair(5)
    with pytest.raises(InvalidInputError, match=r"`b` must be as long as `a` \(5 documents\)"):
        compare(a, _pair(6)[1])
    with pytest.raises(InvalidInputError, match="`replicates` must be at least 2"):
        compare(a, b, replicates=1)
    with pytest.raises(InvalidInputError, match="without `_norm`"):
        compare(a, b, ["ece_norm"])
    with pytest.raises(InvalidInputError, match="without `_null`"):
        compare(a, b, ["ece_null"])


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (3, 10), (40, 80)])
def test_mcnemar_is_the_exact_binomial(only_a: int, only_b: int) -> None:
    a = np.repeat([1, 0, 1, 0], [only_a, only_b, 7, 4])
    b = np.repeat([0, 1, 1, 0], [only_a, only_b, 7, 4])
    test = mcnemar(a, b)
    discordant = only_a + only_b
    expected = binomtest(only_a, discordant).pvalue if discordant else 1.0
    assert (test.only_a, test.only_b) == (only_a, only_b)
    assert test.p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_equals_statsmodels() -> None:
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    for seed in range(20):
        a, b = np.random.default_rng(seed).random((2, 60)) < 0.6
        table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
        expected = tables.mcnemar(table, exact=True).pvalue
        assert mcnemar(a, b).p_value == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_a_million_documents() -> None:
    a, b = np.random.default_rng(0).random((2, 1_000_000)) < [[0.500], [0.502]]
    test = mcnemar(a, b)
    z = (test.only_b - test.only_a) / math.sqrt(test.only_a + test.only_b)
    assert test.p_value == pytest.approx(math.erfc(abs(z) / math.sqrt(2)), rel=0.05)
    with pytest.raises(InvalidInputError, match="`b_correct` must be of shape"):
        mcnemar(a, b[:5])


def test_holm_by_hand() -> None:
    # .01 x 3; .02 x 2 = .04; .03 x 1 = .03, but not below the one before: .04.
    assert holm([0.02, 0.01, 0.03]).tolist() == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, math.nan, 0.9]).tolist() == pytest.approx([1.0, math.nan, 1.0], nan_ok=True)
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@few
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    expected = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values).tolist() == pytest.approx(expected.tolist(), rel=1e-12)


def test_mcnemar_takes_verdicts_and_no_predictions() -> None:
    p = Predictions.from_confidences([0.9, 0.8], [1, 0])
    with pytest.raises(InvalidInputError, match=r"`a_correct` must be \(N,\) verdicts"):
        mcnemar(p, p)  # type: ignore[arg-type]
