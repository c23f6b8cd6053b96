"""Texts of others, shown and not obeyed."""

from __future__ import annotations

import logging
import unicodedata
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.messages import logger
from lm_eval_calibration.texts import STAND_IN, printable

few = settings(derandomize=True, deadline=None, max_examples=200, database=None)
HOSTILE = st.text(
    st.characters() | st.sampled_from("\x00\x1b\x07\x9b\x7f\r\n\t\u202e\u2066\u2028\ud800\ufffe")
)


@given(HOSTILE, st.booleans())
@few
def test_what_is_shown_does_nothing(text: str, lines: bool) -> None:
    found = printable(text, lines)
    assert printable(found, lines) == found
    kept = "\n\t" if lines else ""
    odd = {unicodedata.category(c) for c in found if c not in kept} & {"Cc", "Cs", "Zl", "Zp"}
    assert not odd and not set(found) & set("\u202a\u202e\u2066\u2069")
    assert ElementTree.fromstring(f"<a>{escape(found)}</a>").text == (found or None)
    found.encode("utf-8")


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"])))
@few
def test_what_does_nothing_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == printable(text, lines=True) == text


def test_one_stand_in_for_each() -> None:
    assert printable("a\x1b[31m\nb") == f"a{STAND_IN}[31m{STAND_IN}b"
    assert printable("a\r\nb\tc\r", lines=True) == f"a\nb\tc{STAND_IN}"
    family = "\N{WOMAN}\u200d\N{GIRL}"
    assert printable(family) == family


def test_errors_and_logs_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    error = invalid("task", "known", "`\x1b]0;x\x07\n`")
    assert str(error) == f"`task` must be known, got `{STAND_IN}]0;x{STAND_IN * 2}`."
    assert str(InvalidInputError("50 % of \ud800")) == f"50 % of {STAND_IN}"
    with caplog.at_level(logging.WARNING):
        logger("lm_eval_calibration.test").warning("task `%s`: 5 %%", "\x1b[2J\nERROR: all is lost")
    (record,) = caplog.records
    assert record.getMessage() == f"task `{STAND_IN}[2J{STAND_IN}ERROR: all is lost`: 5 %"
