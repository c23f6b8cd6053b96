"""A number from 0 to 100, as models write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_calibration.verbal.per_cent import read_per_cent


@pytest.mark.parametrize(
    ("words", "p"),
    [
        ("85%", 0.85), ("85 per cent", 0.85), ("I am 90 % sure.", 0.9), ("62.5", 0.625), ("**85**", 0.85),
        ("0.9", 0.9), ("0,8", 0.8), (".7", 0.7), ("1.0", 1.0), ("1", 0.01), ("0", 0.0), ("100", 1.0), ("0.5%", 0.005),
        ("9/10", 0.9), ("9 out of 10", 0.9), ("85/100", 0.85),
        ("Probability: 80\n\n1. because of 3 things", 0.8), ("42 is right, I am 80% sure", 0.8),
        ("Nine", None), ("", None), ("150", None), ("120%", None), ("-5", None), ("11/10", None),
        ("between 60 and 70", None), ('{"A": 0.28, "B": 0.72, "C": 0.0, "D": 0.0}', None),
    ],
)  # fmt: skip
def test_what_it_means(words: str, p: float | None) -> None:
    assert read_per_cent(words) == (None if p is None else pytest.approx(p))


@given(st.integers(0, 100))
def test_whole_numbers_are_per_cent_however_they_are_put(n: int) -> None:
    for words in (
        f"{n}",
        f"{n}%",
        f"{n}.",
        f"About {n}",
        f"{n}/100",
        f"{n / 100:.4f}" if n else "0",
    ):
        assert read_per_cent(words) == pytest.approx(n / 100)


@given(st.text(max_size=40))
def test_any_text_is_read_or_is_none(words: str) -> None:
    found = read_per_cent(words)
    assert found is None or 0 <= found <= 1
