"""Replies that could not be read: what is said of some, and of all."""

from __future__ import annotations

import logging

import pytest

from lm_eval_calibration.models.shared.unread import Unread

SOME = Unread("verbalized", "probabilities", ["no idea"], 4, 0, "half", "another style", True)


def said(found: Unread, caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        found.say()
    return caplog.text


def test_nothing_of_none(caplog: pytest.LogCaptureFixture) -> None:
    assert said(SOME._replace(replies=[]), caplog) == ""


def test_of_some_how_many_and_one_of_them(caplog: pytest.LogCaptureFixture) -> None:
    text = said(SOME._replace(note="a word"), caplog)
    assert "1 of 4 replies name no probabilities (a word), e.g. 'no idea': half" in text
    assert "mean nothing" not in text


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "the model does not answer in the form that is asked for: another style"),
        ({"chat": False}, "the model does not answer in the form that is asked for: --apply_chat_template puts the question as a chat model expects it; or another style"),
        ({"cut": 3}, "they end too soon: max_gen_toks=N"),
        ({"replies": ["", " ", "", "\n"]}, "the server, or the model, returns empty texts"),
    ],
)  # fmt: skip
def test_of_all_why_most_likely_and_three(
    changes: dict, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    replies = ["I am\nsure", "x" * 200, "sk-proj-" + "A1b2" * 12, "fourth"]
    text = said(SOME._replace(replies=replies, chat=True)._replace(**changes), caplog)
    assert "none of 4 replies names probabilities: half, and the figures mean nothing" in text
    assert f"Most likely {why}" in text and "fourth" not in text
    if "replies" not in changes:
        assert "'I am sure'" in text and "x" * 81 not in text and "A1b2A1b2" not in text
