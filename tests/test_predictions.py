"""`Predictions`: what is read from scores and gold options, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logits import length_normalised
from lm_eval_calibration.predictions import Predictions

inf, nan = math.inf, math.nan
few = settings(derandomize=True, deadline=None, max_examples=50)
LOGITS = st.one_of(st.floats(-1e3, 1e3), st.sampled_from([-inf, 0.0, 1.0]))
OPTIONS = st.lists(LOGITS, min_size=1, max_size=6).filter(lambda row: max(row) > -inf)
DOCUMENTS = st.lists(OPTIONS, min_size=1, max_size=12)


def _gold(p: Predictions) -> list[list[int]]:
    return [np.flatnonzero(row).tolist() for row in p.gold]


@given(DOCUMENTS)
@few
def test_log_probabilities_equal_scipy(logits: list[list[float]]) -> None:
    p = Predictions.from_options(logits, [0] * len(logits))
    for row, found in zip(logits, p.log_probabilities, strict=True):
        np.testing.assert_allclose(found[: len(row)], log_softmax(row), rtol=1e-12, atol=1e-12)
        assert (found[len(row) :] == -inf).all()
    np.testing.assert_allclose(p.probabilities.sum(axis=1), 1.0)
    assert p.num_options.tolist() == [len(row) for row in logits]


@given(DOCUMENTS)
@few
def test_the_prediction_is_numpy_s_argmax(logits: list[list[float]]) -> None:
    p = Predictions.from_options(logits, [0] * len(logits))
    assert p.predicted.tolist() == [int(np.argmax(row)) for row in logits]
    assert p.confidence.tolist() == p.probabilities.max(axis=1).tolist()
    assert p.correct.tolist() == (p.predicted == 0).tolist()
    assert ((p.confidence > 0) & (p.confidence <= 1)).all()


@given(st.lists(st.integers(-8, 8), min_size=3, max_size=6, unique=True), st.data())
@few
def test_equal_beliefs_tie_in_any_order_of_the_options(row: list[int], data: Any) -> None:
    """To the last bit: AUROC and equal-mass bins ask whether two confidences are equal."""
    logits = [[x / 4 for x in row], [x / 4 for x in data.draw(st.permutations(row))]]
    first, second = Predictions.from_options(logits, [0, 0]).confidence
    assert first == second


@given(DOCUMENTS)
@few
def test_other_documents_do_not_matter(logits: list[list[float]]) -> None:
    """To the last bit, also beside documents with more options."""
    together = Predictions.from_options([*logits, list(range(20))], [0] * (len(logits) + 1))
    alone = [Predictions.from_options([row], [0]).confidence[0] for row in logits]
    assert together.confidence[:-1].tolist() == alone


def test_ties_go_to_the_first_option() -> None:
    p = Predictions.from_options([[0.0, 2.0, 2.0], [1.0, 1.0]], [1, 1])
    assert p.predicted.tolist() == [1, 0]
    assert p.correct.tolist() == [True, False]


def test_ragged_rows() -> None:
    p = Predictions.from_options([[0.0, 0.0], [0.0, 0.0, 0.0, 0.0], [3.0]], [0, 3, 0])
    assert len(p) == 3
    assert p.confidence.tolist() == pytest.approx([0.5, 0.25, 1.0])
    assert p.log_probabilities.shape == (3, 4)
    assert _gold(p) == [[0], [3], [0]]


def test_an_array_of_logits() -> None:
    logits = np.arange(6.0).reshape(2, 3)
    p = Predictions.from_options(logits, np.array([2, 0]))
    q = Predictions.from_options(logits.tolist(), [2, 0])
    assert p.confidence.tolist() == q.confidence.tolist()
    assert p.correct.tolist() == q.correct.tolist() == [True, False]
    assert logits.tolist() == np.arange(6.0).reshape(2, 3).tolist()


def test_a_single_option_is_certain() -> None:
    p = Predictions.from_options([[-123.4]], [0])
    assert p.confidence.tolist() == [1.0]
    assert p.correct.tolist() == [True]


def test_minus_infinity_is_probability_zero() -> None:
    p = Predictions.from_options([[-inf, 0.0, -inf]], [0])
    assert p.probabilities.tolist() == [[0.0, 1.0, 0.0]]
    assert p.log_probabilities.tolist() == [[-inf, 0.0, -inf]]
    assert p.num_options.tolist() == [3]


def test_no_underflow_in_long_continuations() -> None:
    p = Predictions.from_options([[-5000.0, -5001.0]], [0])
    assert p.confidence[0] == pytest.approx(1 / (1 + math.exp(-1)))


@pytest.mark.parametrize(
    ("gold", "marked", "correct"),
    [
        (1, [1], True),
        (0, [0], False),
        ([1], [1], True),
        ([0, 1], [0, 1], True),
        ((0, 2), [0, 2], False),
        (np.array([2, 1]), [1, 2], True),
        (np.int64(1), [1], True),
        ([1, 1], [1], True),
        ([], [], False),
        (-100, [], False),
        (-1, [], False),
        (3, [], False),
        ([1, 3, -100], [1], True),
    ],
)
def test_gold(gold: Any, marked: list[int], correct: bool) -> None:
    """Indices outside the options mark nothing: in particular -1 is not the last option."""
    p = Predictions.from_options([[0.0, 1.0, 0.5], [0.0, 0.0, 0.0, 0.0]], [gold, 3])
    assert _gold(p) == [marked, [3]]
    assert p.correct.tolist() == [correct, False]


@pytest.mark.parametrize(
    ("logits", "gold", "message"),
    [
        ([[0.0, 1.0], [0.0, nan]], [0, 0], r"`logits` must be .*, got nan \(row 1, option 1\)"),
        ([[0.0, 1.0], [inf, 0.0]], [0, 0], r"`logits` must be .*, got inf \(row 1, option 0\)"),
        ([[0.0], [-inf, -inf]], [0, 0], r"`logits` must be .*-inf for all 2 options of row 1"),
        ([], [], r"`logits` must be one row per document, got no documents"),
        ([[0.0], []], [0, 0], r"`logits` must be at least one option .*, got none in row 1"),
        ([[0.0], [0.0]], [0], r"`gold` must be one entry for each of the 2 documents, got 1"),
        ([[0.0]], [0, 0], r"`gold` must be one entry for each of the 1 documents, got 2"),
    ],
)
def test_bad_options(logits: Any, gold: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Predictions.from_options(logits, gold)


def test_from_confidences() -> None:
    p = Predictions.from_confidences([0.0, 1.0, 0.5], [False, True, 1])
    assert p.confidence.tolist() == [0.0, 1.0, 0.5]
    assert p.correct.dtype == bool
    assert p.correct.tolist() == [False, True, True]
    assert p.predicted is p.log_probabilities is p.probabilities is p.gold is p.num_options is None


@pytest.mark.parametrize(
    ("confidence", "correct", "argument"),
    [
        ([0.5], [1, 0], "confidence"),
        ([], [], "confidence"),
        (0.5, 1, "confidence"),
        ([[0.5]], [[1]], "confidence"),
        ([1.1], [1], "confidence"),
        ([-0.1], [1], "confidence"),
        ([0.5, nan], [1, 1], "confidence"),
        ([inf], [1], "confidence"),
        ([0.5], [2], "correct"),
        ([0.5], [0.5], "correct"),
        ([0.5], [nan], "correct"),
    ],
)
def test_bad_confidences(confidence: Any, correct: Any, argument: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^`{argument}` must be .*, got "):
        Predictions.from_confidences(confidence, correct)


@pytest.mark.parametrize("gold", [[0.7, 0], ["A", 0], [None, 0], [[0, "B"], 0]])
def test_gold_must_be_indices(gold: list) -> None:
    with pytest.raises(InvalidInputError, match=r"`gold` must be an option's index.*row 0"):
        Predictions.from_options([[1.0, 2.0], [0.0, 1.0]], gold)


@pytest.mark.parametrize("logits", [[1.0, 2.0], [[[1.0, 2.0]], [[3.0, 4.0]]]])
def test_logits_must_be_rows(logits: list) -> None:
    with pytest.raises(InvalidInputError, match="`logits` must be a sequence of numbers per"):
        Predictions.from_options(logits, [0, 0])


def test_logits_too_far_apart_for_floats() -> None:
    assert Predictions.from_options([[1e308, -1e308]], [0]).confidence.tolist() == [1.0]


def test_empty_options_are_normalised_as_the_harness_does() -> None:
    assert length_normalised([-4.0, -2.0], [4, 0]).tolist() == [-1.0, -inf]
    assert length_normalised([-4.0, -2.0], [0, 0]).tolist() == [-4.0, -2.0]
    both = length_normalised([[-4.0, -2.0], [-4.0, -inf]], [[4, 0], [0, 0]])
    assert both.tolist() == [[-1.0, -inf], [-4.0, -inf]]


def test_concatenated_documents_are_what_they_were_alone() -> None:
    two = Predictions.from_options([[0.0, 1.0], [2.0, 0.0]], [1, 1])
    three = Predictions.from_options([[0.0, 1.0, -1.0]], [[0, 2]])
    whole = Predictions.concatenate([two, three])
    assert whole.confidence.tolist() == [*two.confidence, *three.confidence]
    assert _gold(whole) == [[1], [1], [0, 2]]
    assert whole.num_options.tolist() == [2, 2, 3]
    assert whole.log_probabilities[:2, 2].tolist() == [-inf, -inf]
    assert Predictions.concatenate([two]) is two
    mixed = Predictions.concatenate([two, Predictions.from_confidences([0.5], [1])])
    assert (len(mixed), mixed.log_probabilities) == (3, None)
