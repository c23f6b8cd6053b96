"""Envelopes as text and back, and what is no envelope."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.envelope import MARK, Envelope
from lm_eval_calibration.errors import InvalidInputError

few = settings(derandomize=True, deadline=None, max_examples=80)


@given(
    st.text(),
    st.none() | st.floats(0, 1),
    st.lists(st.text(), min_size=1, max_size=4),
    st.lists(st.text(), max_size=3),
    st.data(),
)
@few
def test_round_trip(
    answer: str, confidence: float | None, pool: list[str], said: list[str], data: st.DataObject
) -> None:
    picks = data.draw(st.lists(st.none() | st.integers(0, len(pool) - 1), max_size=3))
    beliefs = data.draw(st.just(()) | st.just(tuple(1 / len(pool) for _ in pool)))
    given_ = Envelope(
        "x", answer, confidence, tuple(pool), tuple(picks), beliefs, tuple(said), ((0,),)
    )
    text = given_.to_text()
    assert "\n" not in text and text.startswith(MARK)
    assert Envelope.from_text(text) == given_


@pytest.mark.parametrize("text", ["", "42", '{"answer": 1}', None, 7, '{"lm_eval": 1}'])
def test_plain_answers(text: object) -> None:
    assert Envelope.from_text(text) is None


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"lm_eval_calibration_envelope": 2}, "version 2, where version 1 is known"),
        ({"confidence": 1.5}, "`confidence` must be from 0 to 1"),
        ({"confidence": "high"}, "damaged"),
        ({"picks": [3]}, "`picks` must be numbers from 0 to 1"),
        ({"picks": ["1"]}, "a pick that is no number"),
        ({"picks": [True]}, "a pick that is no number"),
        ({"candidates": [1, 2]}, "`candidates` holds something that is no text"),
        ({"answer": 3}, "an answer that is no text"),
        ({"beliefs": [0.1]}, "`beliefs` must be one for each"),
        ({"more": 1}, "unknown field more"),
        ({"answer": None, "candidates": []}, "`candidates` must be at least one"),
        ({"orders": [["a"]]}, "damaged"),
    ],
)
def test_damaged_envelopes(changes: dict[str, object], match: str) -> None:
    whole = json.loads(Envelope("x", "a", 0.5, ("a", "b"), (0,)).to_text())
    with pytest.raises(InvalidInputError, match=match):
        Envelope.from_text(json.dumps({**whole, **changes}))


def test_a_text_that_is_cut_off() -> None:
    text = Envelope("x", "a", 0.5).to_text()
    with pytest.raises(InvalidInputError, match="damaged envelope"):
        Envelope.from_text(text[:-5])
    with pytest.raises(InvalidInputError, match="damaged envelope"):
        Envelope.from_text(MARK + "1}")
