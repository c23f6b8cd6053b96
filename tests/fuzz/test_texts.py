"""Envelopes and replies, whatever they say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import VALUES, broken, changed, fuzzing, ours
from seeds import ENVELOPE, LABELS, REPLIES

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.fractal.sentences import split
from lm_eval_calibration.models.shared.prompts import bare_question
from lm_eval_calibration.verbal.parsing import read_distribution


@given(changed(json.loads(ENVELOPE.to_text()), times=3))
@fuzzing
def test_envelopes(value: Any) -> None:
    read_envelope(json.dumps(value))


@given(broken(ENVELOPE.to_text().encode()))
@fuzzing
def test_broken_envelopes(text: bytes) -> None:
    read_envelope(text.decode(errors="replace"))


def read_envelope(text: str) -> None:
    """A whole envelope, a plain answer, or our own error; never half of one."""
    with ours():
        found = Envelope.from_text(text)
        assert found is None or Envelope.from_text(found.to_text()) == found


def read_reply(text: str) -> None:
    found = read_distribution(text, LABELS)
    assert (found.probabilities is None) == (found.status == "invalid")
    assert found.status == "valid" or found.notes
    if found.probabilities is not None:
        assert sum(found.probabilities) == pytest.approx(1)
        assert all(0 <= p <= 1 for p in found.probabilities)


@pytest.mark.parametrize("reply", REPLIES)
def test_replies(reply: str) -> None:
    @given(broken(reply.encode()))
    @fuzzing
    def run(text: bytes) -> None:
        read_reply(text.decode(errors="replace"))

    run()


@given(changed(json.loads(REPLIES[0])) | st.dictionaries(st.sampled_from("ABCDE"), VALUES))
@fuzzing
def test_replies_of_other_values(value: Any) -> None:
    read_reply(json.dumps(value))


@given(st.text(alphabet='{}[]":,ABCD0123456789.%/- \n`', max_size=200))
@fuzzing
def test_replies_like_json(text: str) -> None:
    read_reply(text)


@given(st.text(max_size=400), st.sampled_from(["sentences", "steps"]))
@fuzzing
def test_splitting_loses_nothing(text: str, how: str) -> None:
    parts = split(text, how)
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize(
    "middle",
    ["\n", " ", ":", ":=", "- ", "1", "1.", "70% ", "<", "'", "{", "A", "A:", "/ ", "_", ","],
)
@pytest.mark.parametrize(
    "ends", [("70", "x"), ("A", "x"), ('{"A":"7', '"}'), ("A: 0.7", "B"), ("", "")]
)
def test_long_runs_do_not_hang(middle: str, ends: tuple[str, str]) -> None:
    """122 characters once took 8 s."""
    text = ends[0] + middle * 5000 + ends[1]
    read_reply(text)
    bare_question(f"Question: why?\n{text}\nAnswer:")
