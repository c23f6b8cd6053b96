"""Laws that every recalibrator obeys, and what other libraries say of each."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES
from sklearn import calibration
from sklearn.linear_model import LogisticRegression

from lm_eval_calibration.calibrators import METHODS, Calibrator, Training, fit
from lm_eval_calibration.errors import InvalidInputError, UnknownNameError
from lm_eval_calibration.metrics import auroc, ece, evaluate
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing import calibrators as laws

few = settings(
    derandomize=True,
    deadline=None,
    max_examples=8 * EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
)
every_method = pytest.mark.parametrize("name", METHODS)
sound = pytest.mark.parametrize("name", [n for n in METHODS if n not in ("resoftmax", "prior")])
"""All but the one that is there to show what goes wrong, and the one that mends another thing."""
LOGITS = st.sampled_from([-math.inf, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 3.0, 800.0])
Documents = list[tuple[list[float], int]]


@st.composite
def documents(draw: st.DrawFn) -> Documents:
    found = []
    for _ in range(draw(st.integers(3, 15))):
        logits = draw(st.lists(LOGITS, min_size=2, max_size=5))
        if max(logits) == -math.inf:
            logits[0] = 0.0
        found.append((logits, draw(st.integers(0, len(logits) - 1))))
    return found


def predictions(found: Documents) -> Predictions:
    return Predictions.from_options([row for row, _ in found], [gold for _, gold in found])


def drawn(count: int, temperature: float = 1.0, options: int = 4, seed: int = 0) -> Predictions:
    """A model that is calibrated once its logits are divided by `temperature`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, (count, options))
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    gold = [int(rng.choice(options, p=row)) for row in p]
    return Predictions.from_options(z * temperature, gold)


@every_method
@given(documents())
@few
def test_mapped_beliefs_are_distributions_over_the_same_options(
    name: str, found: Documents
) -> None:
    laws.distributions(METHODS[name], predictions(found))


@every_method
@given(documents())
@few
def test_what_is_predicted_stays(name: str, found: Documents) -> None:
    """... in the scores that a model returns to the harness too, whose argmax is numpy's."""
    laws.predictions_stay(METHODS[name], predictions(found))


@every_method
@given(documents(), st.integers(0, 99))
@few
def test_row_order_does_not_matter(name: str, found: Documents, seed: int) -> None:
    laws.order_is_nothing(METHODS[name], predictions(found), np.random.default_rng(seed))


@sound
def test_a_calibrated_model_stays_as_it_is(name: str) -> None:
    before, other = drawn(20_000), drawn(4_000, seed=1)
    after = fit(name, before).transform(other)
    assert np.abs(after.confidence - other.confidence).mean() < 0.02


@sound
def test_an_over_confident_model_is_mended_on_documents_it_has_not_seen(name: str) -> None:
    before = drawn(4_000, 3.0, seed=1)
    after = fit(name, drawn(4_000, 3.0)).transform(before)
    was, now = (evaluate(p, ["nll", "ece"], replicates=0) for p in (before, after))
    assert now["nll"].value < was["nll"].value - 0.3
    assert now["ece"].value < was["ece"].value / 4


@every_method
def test_saved_and_read_back(name: str, tmp_path: Path) -> None:
    before = drawn(200, 2.0)
    training = Training({"toy": 200}, np.arange(200, dtype=np.uint64), "a model", "abc")
    calibrator = fit(name, before, training)
    calibrator.save_pretrained(tmp_path)
    assert {f.name for f in tmp_path.iterdir()} == {
        ".lm-eval-calibration.json", "config.json", "model.safetensors", "README.md",
    }  # fmt: skip
    again = Calibrator.from_pretrained(tmp_path)
    assert again.method == name and again.training.tasks == {"toy": 200}
    assert again.training.base_model == "a model" and again.training.fingerprint == "abc"
    assert again.training.seen(np.array([3, 900], dtype=np.uint64)).tolist() == [True, False]
    a, b = calibrator.transform(before), again.transform(before)
    assert np.array_equal(a.log_probabilities, b.log_probabilities)


@every_method
def test_confidences_alone(name: str) -> None:
    """Binary recalibration, where the method has one; else a clear error."""
    rng = np.random.default_rng(0)
    c = rng.uniform(0.3, 1, 4000)
    before = Predictions.from_confidences(c, rng.uniform(size=4000) < c**3)
    if name in ("vector", "prior"):
        with pytest.raises(InvalidInputError, match=f"`{name}` needs options"):
            fit(name, before)
        return
    after = fit(name, before).transform(before)
    assert after.log_probabilities is None and (after.correct == before.correct).all()
    was, now = (evaluate(p, ["ece"], replicates=0)["ece"].value for p in (before, after))
    bends = name not in ("temperature", "inverse_softmax", "resoftmax")
    assert now < was * (0.2 if bends else 0.9)  # one number bends nothing


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_temperature_is_scikit_learns(temperature: float) -> None:
    """`_TemperatureScaling` minimises the same loss by another route."""
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("scikit-learn before 1.8 has none")
    p = drawn(2_000, temperature)
    theirs = calibration._TemperatureScaling().fit(p.log_probabilities, p.gold.argmax(axis=1))
    ours = float(fit("temperature", p).parameters[""]["temperature"])
    assert ours == pytest.approx(1 / theirs.beta_, rel=1e-3)
    assert ours == pytest.approx(temperature, rel=0.1)


def _reference_logistic(features: np.ndarray, verdict: np.ndarray) -> np.ndarray:
    """Platt's smoothed targets as a weighted logistic regression without penalty."""
    right = verdict.sum()
    high, low = (right + 1) / (right + 2), 1 / (len(verdict) - right + 2)
    target = np.where(verdict, high, low)
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    x = np.concatenate([features, features])
    y = np.repeat([1, 0], len(features))
    model.fit(x, y, sample_weight=np.concatenate([target, 1 - target]))
    return np.append(model.coef_[0], model.intercept_)


@pytest.mark.parametrize("name", ["platt", "beta"])
def test_logistic_curves_are_scikit_learns(name: str) -> None:
    rng = np.random.default_rng(3)
    c = rng.uniform(0.05, 0.95, 3000)
    verdict = rng.uniform(size=3000) < c**1.5
    features = {
        "platt": np.log(c / (1 - c))[:, None],
        "beta": np.stack([np.log(c), -np.log(1 - c)], axis=1),
    }[name]
    found = fit(name, Predictions.from_confidences(c, verdict)).parameters[""]["weights"]
    np.testing.assert_allclose(found, _reference_logistic(features, verdict), atol=2e-3)


def test_a_curve_never_falls() -> None:
    """Where confidence is anti-correlated with being right, the best rising curve is flat."""
    c = np.linspace(0.05, 0.95, 200)
    wrong_way = Predictions.from_confidences(c, c < 0.5)
    for name in ("platt", "beta", "isotonic"):
        mapped = fit(name, wrong_way).transform(wrong_way).confidence
        assert (np.diff(mapped) >= -1e-12).all()
        assert mapped.std() < 0.05


def test_centred_isotonic_keeps_the_order_that_isotonic_pools() -> None:
    """Its curve runs through the middles of the staircase's steps, and rises everywhere."""
    rng = np.random.default_rng(0)
    c = rng.uniform(0.05, 0.95, 400)
    p = Predictions.from_confidences(c, rng.uniform(size=400) < c**2)
    stairs, curve = (
        fit(name, p).transform(p).confidence for name in ("isotonic", "centred_isotonic")
    )
    assert len(np.unique(stairs)) < 60 and len(np.unique(curve)) == 400
    assert (np.diff(curve[np.argsort(c)]) > 0).all()
    assert auroc(curve, p.correct) == auroc(c, p.correct) > auroc(stairs, p.correct) - 0.02
    for height in np.unique(stairs)[1:-1]:
        rows = stairs == height
        middle = Predictions.from_confidences([c[rows].mean()], [0])
        if np.ptp(c[rows]) > 0:  # (straight stretches between corners have heights of their own)
            near = fit("centred_isotonic", p).transform(middle).confidence[0]
            assert near == pytest.approx(height, abs=1e-9)


def test_a_spline_bends_where_a_line_cannot() -> None:
    """Beliefs that are right in their middle and too sure at both ends: Platt's line cannot follow."""
    rng = np.random.default_rng(0)
    c = rng.uniform(0.01, 0.99, 20_000)
    truth = 0.5 + 0.3 * np.sign(c - 0.5) * (np.abs(c - 0.5) * 2) ** 0.3
    p = Predictions.from_confidences(c, rng.uniform(size=len(c)) < truth)
    fresh = Predictions.from_confidences(c, rng.uniform(size=len(c)) < truth)
    line, bent = (
        ece(fit(m, p).transform(fresh).confidence, fresh.correct) for m in ("platt", "spline")
    )
    assert bent < 0.5 * line and bent < 0.03


def test_isotonic_pools_ties_and_clips_beyond_its_range() -> None:
    tied = Predictions.from_confidences([0.2, 0.6, 0.6, 0.6, 0.6, 0.8], [0, 1, 0, 0, 1, 1])
    reverse = tied.take(np.arange(6)[::-1])
    for p in (tied, reverse):
        mapped = fit("isotonic", p).transform(
            Predictions.from_confidences([0.0, 0.2, 0.6, 0.8, 1.0], [0, 0, 0, 0, 0])
        )
        assert mapped.confidence.tolist() == [0.125, 0.125, 0.5, 0.875, 0.875]  # 1 / (6 + 2)


def test_histogram_by_hand() -> None:
    p = Predictions.from_confidences([0.9, 0.92, 0.99, 0.5], [1, 0, 0, 1])
    mapped = fit("histogram", p).transform(p).confidence
    # bin 14 of 15 is (0.8667, 0.9333]: 1 of 2 right; bin 15: 0 of 1; bin 8: 1 of 1
    np.testing.assert_allclose(mapped, [2 / 4, 2 / 4, 1 / 3, 2 / 3])


def test_vector_is_at_its_minimum_and_refuses_more_options() -> None:
    p = drawn(500, 2.0)
    calibrator = fit("vector", p)
    best = evaluate(calibrator.transform(p), ["nll"], replicates=0)["nll"].value
    for name in ("scale", "offset"):
        for step in (-0.05, 0.05):
            moved = {k: v.copy() for k, v in calibrator.parameters[""].items()}
            moved[name][1] += step
            other = Calibrator("vector", {"": moved}).transform(p)
            assert evaluate(other, ["nll"], replicates=0)["nll"].value > best - 1e-4
    with pytest.raises(InvalidInputError, match="at most 4 options"):
        calibrator.transform(drawn(5, options=5))
    assert len(calibrator.transform(drawn(5, options=3))) == 5


def test_each_task_its_own() -> None:
    by_task = {"a": drawn(2000, 3.0), "b": drawn(2000, 0.5)}
    calibrator = fit("temperature", by_task)
    values = {t: float(p["temperature"]) for t, p in calibrator.parameters.items()}
    assert values["a"] == pytest.approx(3, rel=0.1) and values["b"] == pytest.approx(0.5, rel=0.1)
    with pytest.raises(InvalidInputError, match="task by task, on a, b, and has nothing for `c`"):
        calibrator.transform(by_task["a"], "c")


def test_temperature_leaves_length_normalised_choices() -> None:
    calibrator = fit("temperature", drawn(500, 3.0))
    raw = np.array([[-10.0, -12.0, -30.0]])
    t = float(calibrator.parameters[""]["temperature"])
    scores = calibrator.option_scores(raw, np.array([3]))
    np.testing.assert_allclose(scores, raw / t)


def test_what_cannot_be_fitted() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean `temperature`"):
        fit("temprature", drawn(5))
    with pytest.raises(InvalidInputError, match="documents with a right option"):
        fit("temperature", Predictions.from_options([[0.0, 1.0]], [-100]))


def test_documents_without_a_right_option_are_left_out_of_the_fit() -> None:
    known = Predictions.from_options([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]], [1, 1, 1])
    more = Predictions.from_options([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0], [9.0, 0.0]], [1, 1, 1, 7])
    a, b = (fit("temperature", p).parameters[""]["temperature"] for p in (known, more))
    assert a == b


def prefers_the_first(count: int = 2000, seed: int = 0) -> Predictions:
    """Calibrated beliefs with 1.5 nats more on the first option, whatever is asked."""
    fair = laws.overconfident(count, 1.0, seed=seed)
    assert fair.log_probabilities is not None and fair.gold is not None
    spoilt = fair.log_probabilities + np.array([1.5, 0.0, 0.0, 0.0])
    return Predictions.from_options(spoilt, fair.gold.argmax(axis=1).tolist())


def test_a_prior_reads_no_labels() -> None:
    """Nor needs any: right, shuffled and missing ones give the same, up to the order of sums."""
    p = prefers_the_first()
    assert p.log_probabilities is not None and p.gold is not None
    found = fit("prior", p).parameters[""]["preference"]
    shuffled = np.random.default_rng(1).integers(0, 4, len(p)).tolist()
    for gold in (shuffled, [-100] * len(p)):
        again = fit("prior", Predictions.from_options(p.log_probabilities, gold))
        assert again.parameters[""]["preference"] == pytest.approx(found, rel=1e-12)
    assert found[0] > 1.5 > 1 > found[1:].max()


def test_a_prior_takes_a_preference_out() -> None:
    before = prefers_the_first(seed=1)
    after = fit("prior", prefers_the_first()).transform(before)
    was, now = (evaluate(p, ["acc", "nll", "ece"], replicates=0) for p in (before, after))
    assert now["acc"].value > was["acc"].value + 0.05
    assert now["nll"].value < was["nll"].value - 0.1 and now["ece"].value < was["ece"].value
