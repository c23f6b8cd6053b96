"""Laws of what is kept of a prompt's format."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.prompt_format import (
    APPLIED,
    LOG_LIKELIHOODS,
    SERVER,
    PromptFormat,
    nearest,
    of_config,
    option_style,
    to_config,
)

HASHES = st.sampled_from(["", "a" * 64, "b" * 64])
FORMATS = st.builds(
    PromptFormat,
    st.none() | st.integers(0, 3),
    st.none() | HASHES | st.sampled_from([APPLIED, SERVER]),
    st.none() | HASHES,
    st.none() | st.booleans(),
    st.sampled_from([None, "letters", "texts"]),
    st.sampled_from([None, LOG_LIKELIHOODS, "verbalized"]),
)


@given(FORMATS)
def test_nothing_differs_from_itself_or_from_what_is_not_known(one: PromptFormat) -> None:
    assert one.differences(one) == []
    assert one.differences(PromptFormat()) == PromptFormat().differences(one) == []


@given(FORMATS, FORMATS)
def test_differences_are_the_same_from_both_sides(one: PromptFormat, other: PromptFormat) -> None:
    there = one.differences(other)
    assert len(there) == len(other.differences(one))
    assert all(mine and theirs and mine != theirs for mine, theirs in there)
    known = [f for f in one.as_fields() if f in other.as_fields()]
    equal = [f for f in known if getattr(one, f) == getattr(other, f)]
    assert len(there) <= len(known) - len(equal)


@given(st.dictionaries(st.text(max_size=5), FORMATS, max_size=5))
def test_what_is_written_is_read(prompts: dict[str, PromptFormat]) -> None:
    text = json.dumps(to_config(prompts))
    assert of_config(json.loads(text)) == prompts
    assert len(json.loads(text)) == len(set(prompts.values()))


@given(st.lists(FORMATS, min_size=1), FORMATS)
def test_the_nearest_differs_least(some: list[PromptFormat], used: PromptFormat) -> None:
    one, differences = nearest(some, used)
    assert one in some and len(differences) == min(len(s.differences(used)) for s in some)


def test_words() -> None:
    plain = PromptFormat(0, "", "", None, "texts", LOG_LIKELIHOODS)
    other = PromptFormat(1, "a" * 64, "b" * 64, True, "letters", "verbalized")
    assert plain.differences(other) == [
        ("zero-shot", "with 1 shot"),
        ("on plain prompts", "in a chat template"),
        ("without a system instruction", "with a system instruction"),
        ("by log-likelihoods", "by verbalized"),
    ]
    by_letters = replace(plain, options="letters")
    assert plain.differences(by_letters) == [("with texts as options", "with letters as options")]
    # (a wrapper that asks shows options in a way of its own)
    asked = [replace(one, beliefs="option_tokens") for one in (plain, by_letters)]
    assert not asked[0].differences(asked[1])
    assert PromptFormat(chat_template="a").differences(PromptFormat(chat_template="b")) == [
        ("in one chat template", "in another chat template")
    ]
    turns = [PromptFormat(multiturn=value) for value in (True, False)]
    assert turns[0].differences(turns[1]) == [
        ("with shots as turns of the chat", "with all shots in one turn")
    ]


def test_of_a_template_that_is_not_known_only_that_there_is_one_counts() -> None:
    some, named = PromptFormat(chat_template=APPLIED), PromptFormat(chat_template="a" * 64)
    assert some.differences(named) == [] == named.differences(some)
    assert len(some.differences(PromptFormat(chat_template=""))) == 1


@pytest.mark.parametrize(
    ("options", "style"),
    [
        ([" A", " B", " C"], "letters"),
        (["1", "2", "3", "4"], "letters"),
        (["(a)", "(b)"], "letters"),
        ([" B", " A"], "texts"),
        ([" yes", " no"], "texts"),
        ([" A cat", " B flat"], "texts"),
        ([" A"], None),
        ([], None),
    ],
)
def test_the_style_of_options(options: list[str], style: str | None) -> None:
    assert option_style(options) == style


@pytest.mark.parametrize(
    "bad",
    [
        [{"shots": 0}],
        [{"tasks": "a"}],
        ["a"],
        [{"tasks": ["a"], "shots": True}],
        [{"tasks": ["a"], "shots": "2"}],
        [{"tasks": ["a"], "multiturn": 1}],
        [{"tasks": ["a"], "chat_template": ["x"]}],
        {"tasks": ["a"]},
        "tasks",
    ],
)
def test_another_kind_of_value_is_refused(bad: object) -> None:
    with pytest.raises(InvalidInputError, match="prompts"):
        of_config(bad)


def test_older_and_later_artifacts_can_be_read() -> None:
    assert of_config(None) == {}
    assert of_config([{"tasks": ["a"], "shots": 2, "weather": "fine"}]) == {"a": PromptFormat(2)}
