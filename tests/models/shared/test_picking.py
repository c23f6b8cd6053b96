"""What models say when they are asked for a number, and which one they mean."""

from __future__ import annotations

import pytest

from lm_eval_calibration.models.shared.picking import read_index, read_verbatim

POOL = ["four", "It is 5.", "six", "seven"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("2", 1), (" 2\n", 1), ("2.", 1), ("(3)", 2), ("**4**", 3), ("Answer 1", 0),
        ("Best answer: 3", 2), ("best answer:**2**", 1), ("The best one is 4.", 3),
        ("Answer 1 is wrong because 7 x 8 = 56.\nBest answer: 2", 1),
        ("Best answer: 1\nNo. Best answer: 2", 1), ("1 is right, 2 is not", 0),
        ("2 or 3?", 1), ("Of 1, 2 and 3 it is 3", 2), ("I compare 2 with 4, and take 4", 3),
        ("5", None), ("0", None), ("Best answer: 9", None), ("", None), ("none", None),
        ("3.14", None), ("1st", None), ("-", None), ("4" * 30, None),
    ],
)  # fmt: skip
def test_numbers(words: str, expected: int | None) -> None:
    assert read_index(words, POOL) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("four", 0), ("It is 5", 1), ("The best answer is: SIX!", 2), ("four or seven", None),
        ("eight", None), ("", None),
    ],
)  # fmt: skip
def test_repeated_answers(words: str, expected: int | None) -> None:
    assert read_verbatim(words, POOL) == expected


def test_equal_candidates_are_one() -> None:
    assert read_verbatim("so: x", ["x", "x ", "y"]) == 0
