"""The scale of options' numbers is told from them, or asked for; it is never guessed wrong."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.ragged import Ragged
from lm_eval_calibration.scales import found


def scale_of(*rows: list[float]) -> str:
    values = np.array([value for row in rows for value in row], dtype=np.float64)
    ragged = Ragged(values, np.array([len(row) for row in rows], dtype=np.intp))
    return found(ragged, np.arange(1, len(rows) + 1)).scale


MATRICES = st.lists(
    st.lists(st.floats(-20, 20), min_size=2, max_size=5), min_size=1, max_size=6
)  # fmt: skip


@given(MATRICES, st.sampled_from([2, 3, 6, 12]))
def test_probabilities_and_their_logarithms_in_any_number_of_digits(
    logits: list[list[float]], digits: int
) -> None:
    p = [
        np.exp(np.array(row) - max(row)) / np.exp(np.array(row) - max(row)).sum() for row in logits
    ]
    assert scale_of(*[row.round(digits).tolist() for row in p]) == "probs"
    logs = [np.log(row).round(digits) for row in p]
    if any(row.any() for row in logs):  # (an only option is 0, and so is its logarithm)
        assert scale_of(*[row.tolist() for row in logs]) == "log_probs"


@pytest.mark.parametrize(
    ("rows", "scale"),
    [
        ([[2.0, -1.0], [0.1, 0.9]], "logits"),
        ([[-0.1, -0.1]], "logits"),  # more than 1 together
        ([[30.0, 12.0]], "logits"),
        ([[-20.0, -np.inf]], "log_probs"),  # of letters that hardly anything is held to
        ([[1.0, 0.0]], "probs"),
    ],
)
def test_others(rows: list[list[float]], scale: str) -> None:
    assert scale_of(*rows) == scale


def test_what_may_be_two_is_asked_for() -> None:
    with pytest.raises(
        InvalidInputError, match=r"\(row 2: 0\.7\), so they may be probabilities or logits. Say"
    ):
        scale_of([0.4, 0.6], [0.2, 0.5])
    with pytest.raises(InvalidInputError, match="percentages, it seems"):
        scale_of([40.0, 60.0], [99.5, 0.5])
