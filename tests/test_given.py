"""What people have of beliefs, read as `Predictions`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration import Predictions, compare, evaluate, fit
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.given import as_predictions

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(60, 4))
LOG_PROBS = LOGITS - np.log(np.exp(LOGITS).sum(axis=1, keepdims=True))
GOLD = RNG.integers(0, 4, size=60)
WANTED = Predictions.from_options(LOGITS, GOLD.tolist())


def same(found: Predictions, wanted: Predictions) -> bool:
    one, other = found.probabilities, wanted.probabilities
    assert one is not None and other is not None
    return bool(np.allclose(one, other, atol=1e-6) and (found.correct == wanted.correct).all())


def of_torch(values: Any) -> Any:
    return pytest.importorskip("torch").tensor(np.asarray(values))


def of_polars(values: Any) -> Any:
    return pytest.importorskip("polars").DataFrame(np.asarray(values))


@pytest.mark.parametrize("make", [np.asarray, np.ndarray.tolist, of_torch, of_polars])
@pytest.mark.parametrize("numbers", [LOGITS, LOG_PROBS, np.exp(LOG_PROBS)])
def test_numbers_of_options_in_any_container_and_on_any_scale(numbers: Any, make: Any) -> None:
    truth = of_torch(GOLD) if make is of_torch else GOLD
    assert same(as_predictions(make(numbers), truth), WANTED)


def test_rows_of_different_lengths_and_several_right_options() -> None:
    found = as_predictions([[-1.2, -3.4, -2.0], [-0.7, -0.9]], [[0, 2], 1])
    assert found.num_options is not None and found.num_options.tolist() == [3, 2]
    assert found.correct.tolist() == [True, False]


@pytest.mark.parametrize("kind", [bool, int, float])
def test_confidences_and_verdicts(kind: type) -> None:
    verdicts = [kind(i % 3 == 0) for i in range(30)]
    found = as_predictions(np.linspace(0, 1, 30), verdicts)
    assert found.options is None and found.correct.sum() == 10


def test_evaluate_and_compare_take_them() -> None:
    p = np.exp(LOG_PROBS)
    assert dict(evaluate(p, truth=GOLD)) == dict(evaluate(as_predictions(p, GOLD)))
    cooler = np.exp(0.5 * LOG_PROBS)
    cooler /= cooler.sum(axis=1, keepdims=True)
    found = compare(p, cooler, ["nll"], truth=GOLD, replicates=50)["nll"]
    assert found.difference == pytest.approx(
        evaluate(cooler, ["nll"], truth=GOLD)["nll"].value
        - evaluate(p, ["nll"], truth=GOLD)["nll"].value
    )


@pytest.mark.parametrize(
    ("beliefs", "truth", "scale", "said"),
    [
        ([[0.1, 0.9]], None, None, "`truth` is missing. Give what was true as `truth`"),
        (WANTED, GOLD, None, "`truth` must be left out"),
        ([0.5, 90.0], [1, 0], None, "If these are percentages, divide them by 100"),
        ([[0.5, 0.9], [0.1, 0.1]], [1, 0], None, "in Python `scale`"),
        ([[0.5, 0.9]], [1], "probability", "`scale` must be one of logits, log_probs, probs"),
        ([[0.5, 1.9]], [1], "probs", r"`beliefs` must be in \[0, 1\] \(scale `probs`\), got 1.9"),
        (LOGITS, GOLD + 0.5, None, "`truth` must be an option's index for each document"),
        (LOGITS, GOLD[:-1], None, "`truth` must be one entry for each of 60 documents"),
        (np.zeros((2, 2, 2)), [0, 1], None, "`beliefs` must be of one or two dimensions"),
    ],
)
def test_what_cannot_be_read(beliefs: Any, truth: Any, scale: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        as_predictions(beliefs, truth, scale=scale)


@settings(max_examples=25)
@given(st.integers(2, 9), st.integers(1, 30), st.integers(0, 2**31))
def test_probabilities_are_those_of_their_logarithms(options: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(options), size=rows)
    gold = rng.integers(0, options, size=rows)
    with np.errstate(divide="ignore"):
        assert same(as_predictions(p, gold), as_predictions(np.log(p), gold, scale="log_probs"))


def test_what_they_show_of_themselves() -> None:
    assert repr(WANTED).startswith("Predictions(60 documents, 4 options, accuracy 0.")
    assert "3 to 4 options" in repr(as_predictions([[1.0, 2, 3], [1.0, 2, 3, 4]], [0, 1]))
    assert "scores from -1 to 2" in repr(Predictions.from_scores([-1.0, 2.0], [0, 1]))
    found = evaluate(WANTED, ["acc", "ece", "mce"])
    assert [text.split()[0] for text in repr(found).splitlines()] == ["acc", "ece", "mce"]
    page = found._repr_html_()
    assert page.count("<tr>") == 4 and "<svg" in page and "60 documents" in page
    scores = evaluate(Predictions.from_scores([-1.0, 2.0, 3.0], [0, 1, 1]), ["auroc"])
    assert "<svg" not in scores._repr_html_()


def test_what_is_right_as_a_mask() -> None:
    """One-hot rows, booleans and data frames' dummies are what indices are."""
    y = np.arange(40) % 4
    p = np.random.default_rng(0).dirichlet(np.ones(4), 40)
    expected = evaluate(p, ["nll", "ece"], truth=y, replicates=0)
    for truth in (np.eye(4)[y], np.eye(4)[y].astype(int), np.eye(4)[y] == 1):
        assert evaluate(p, ["nll", "ece"], truth=truth, replicates=0) == expected


@pytest.mark.parametrize("truth", [[1, 2, 3], [-1, 0, 1], [[0], [1], [3]]])
def test_options_are_counted_from_0(truth: Any) -> None:
    with pytest.raises(
        InvalidInputError, match=r"`truth\[\d\]` must be an option's index, from 0 to 2"
    ):
        evaluate(np.full((3, 3), 1 / 3), truth=truth)


@pytest.mark.parametrize(
    ("beliefs", "said"),
    [
        ([], "of one document at least"),
        (["a", "b"], "or numbers"),
        (None, "or numbers"),
        (0.5, "or numbers"),
    ],
)
def test_what_are_no_beliefs(beliefs: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        evaluate(beliefs, truth=[0])


def test_names_of_metrics() -> None:
    p = Predictions.from_confidences([0.9, 0.6], [1, 0])
    assert list(compare(p, p, "ece,acc", replicates=20)) == ["ece", "acc"]
    with pytest.raises(InvalidInputError, match=r"`metrics` must be names of metrics.*`truth=`"):
        evaluate([0.9, 0.6], np.array([1, 0]))


def test_fit_takes_arrays() -> None:
    y = np.arange(60) % 3
    p = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    fitted = fit("temperature", p, truth=y)
    again = fit("temperature", Predictions.from_options(np.log(p), y.tolist()))
    assert fitted.parameters[""]["temperature"] == again.parameters[""]["temperature"]
    with pytest.raises(InvalidInputError, match="Recalibrator` maps arrays"):
        fitted.transform(p)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="`training` must be a `Training`"):
        fit("temperature", p, y)  # type: ignore[arg-type]
