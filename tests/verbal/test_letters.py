"""Where the letter of a reply stands, and what the likeliest tokens there say."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_calibration.verbal.letters import (
    LETTERS,
    Token,
    answer_token,
    joined,
    normalised,
    read_letters,
)
from lm_eval_calibration.verbal.listing import listing


def tokens(text: str) -> list[Token]:
    """Words with the white space before them, and marks, as tokens."""
    return [Token(word) for word in re.findall(r"\s*\w+|\s*[^\w\s]|\s+$", text)]


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("A", 0),
        ("**A**", 2),
        ("(A)", 1),
        ("A. Paris", 0),
        ("Option A", 1),
        ("The answer is A", 3),
        ("The right option is A.", 4),
        ("I think it is A.", 4),
        ("It's A", 3),
        ("Answer - A", 2),
        ("Sure! The answer: A", 5),
        ("Of the options, I pick A.", 6),
        ("The letter of the right option is A", 7),
        ("A cat is it: A", 5),
        ("B, not A", 0),
    ],
)
def test_where_the_letter_stands(reply: str, place: int) -> None:
    words = tokens(reply)
    found = answer_token(words, reply, "ABCD", marked=False)
    assert found is words[place], found


@pytest.mark.parametrize(
    "reply",
    [
        "Paris",
        "I cannot say.",
        "a cat",
        "The capital of it",
        'The letter is "',
        "The right answer is",
    ],
)
def test_a_reply_without_a_letter_is_read_at_its_first_word(reply: str) -> None:
    words = tokens(reply)
    assert answer_token(words, reply, "BCD", marked=False) is words[0]
    assert answer_token(words, reply, "BCD", marked=True) is None


@pytest.mark.parametrize("text", ["", "\n"])
def test_a_text_that_ends_at_once_is_read_at_its_end(text: str) -> None:
    """Completions servers may print the token that ends a text as an empty one."""
    end = Token(text, ((text, -0.2), (" A", -3.5), (" B", -6.0)))
    assert answer_token([end], text, "AB", marked=False) is end
    assert answer_token([end], text, "AB", marked=True) is None
    assert answer_token([end], "<think>so", "AB", marked=False) is None
    assert answer_token([], "", "AB", marked=False) is None


@pytest.mark.parametrize(
    ("reply", "place"),
    [("So.\nAnswer: B", 4), ("Answer: A\nNo.\n**Answer:** B", 11), ("Answer: the letter B", 4)],
)
def test_after_the_mark(reply: str, place: int) -> None:
    words = tokens(reply)
    assert answer_token(words, reply, "AB", marked=True) is words[place]


@given(
    st.lists(st.tuples(st.text(max_size=3), st.floats(-50, 0)), min_size=1, max_size=20),
    st.integers(2, 6),
)
def test_letters_are_a_part_of_what_is_returned(top: list[tuple[str, float]], count: int) -> None:
    found = read_letters(top, LETTERS[:count])
    if found is not None:
        p = np.exp(found.log_probabilities)
        assert (p > 0).all() and 0 < found.mass <= 1
        assert found.outside < count
        if found.outside:
            assert p.min() <= min(math.exp(value) for _, value in top) + 1e-12


@given(st.data())
def test_groups_are_joined_exactly_where_choices_follow_luce(data: st.DataObject) -> None:
    """Where the odds of two options are the same whatever else is shown."""
    count = data.draw(st.integers(2, 30))
    logs = np.array(data.draw(st.lists(st.floats(-8, 0), min_size=count, max_size=count)))
    size = data.draw(st.integers(1, count))
    groups = [list(range(i, min(i + size, count))) for i in range(0, count, size)]
    within = [normalised(logs[group]) for group in groups]
    best = [group[int(w.argmax())] for group, w in zip(groups, within, strict=True)]
    found = joined(groups, within, normalised(logs[best]))
    np.testing.assert_allclose(found, normalised(logs), atol=1e-9)


def test_lists_of_options() -> None:
    asked = "Which?\n(A) one\ntwo\n(B) three"
    assert listing(asked, ["(A)", "(B)"]) == ("Which?", ("one\ntwo", "three"), "AB")
    assert listing("x or y?", ["x", "y"]).texts == ("x", "y")
    assert listing("Letter 1 of DCBA?", list("DCBA")).texts == tuple("DCBA")
    assert listing("Is A. or B. right?", ["A", "B"]).texts == ()
