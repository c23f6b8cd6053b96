"""Replies as models write them, and what is made of each."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.verbal.labels import Labels, name_options
from lm_eval_calibration.verbal.parsing import ReadReply, average, read_distribution, uniform

CITIES = Labels("ABCD", ["Paris", "the city of London", "Rome", "Oslo"])
MOODS = Labels(["positive", "negative"])
few = settings(derandomize=True, deadline=None, max_examples=150)

VALID = {
    "strict": ('{"A": 0.7, "B": 0.1, "C": 0.1, "D": 0.1}', [0.7, 0.1, 0.1, 0.1]),
    "sum of .97": ('{"A": 0.67, "B": 0.1, "C": 0.1, "D": 0.1}', [0.67 / 0.97] + [0.1 / 0.97] * 3),
    "one certain": ('{"A": 1, "B": 0, "C": 0, "D": 0}', [1, 0, 0, 0]),
    "exponent": ('{"A": 1e-3, "B": 0.999, "C": 0, "D": 0.0}', [0.001, 0.999, 0, 0]),
    "nested": (
        '{"answer": "A", "confidence": 0.9, "probabilities": '
        '{"Paris": 0.9, "B. the city of London": 0.1, "Rome": 0, "Oslo": 0}}',
        [0.9, 0.1, 0, 0],
    ),
    "after thoughts": (
        '<think>{"A": 1}</think>{"A": 0.25, "B": 0.25, "C": 0.25, "D": 0.25}', [0.25] * 4,
    ),
    "labels in brackets": ('{"(A)": 0.5, "[B]": 0.5, "option C": 0, "D.": 0}', [0.5, 0.5, 0, 0]),
}  # fmt: skip
REPAIRED = {
    "code fence": ('```json\n{"A": 0.7, "B": 0.3, "C": 0, "D": 0}\n```', [0.7, 0.3, 0, 0], "around"),
    "prose around": (
        'Sure, here it is:\n{"A": 0.7, "B": 0.3, "C": 0, "D": 0}\nHope that helps!',
        [0.7, 0.3, 0, 0], "around",
    ),
    "the last of two": (
        'At first {"A": 1, "B": 0, "C": 0, "D": 0}, but then {"A": 0, "B": 1, "C": 0, "D": 0}',
        [0, 1, 0, 0], "around",
    ),
    "single quotes": ("{'A': 0.7, 'B': 0.3, 'C': 0, 'D': 0}", [0.7, 0.3, 0, 0], "quotes"),
    "trailing comma": ('{"A": 0.7, "B": 0.3, "C": 0, "D": 0,}', [0.7, 0.3, 0, 0], "commas"),
    "comments": ('{"A": 0.7, // capital\n"B": 0.3, "C": 0, "D": 0}', [0.7, 0.3, 0, 0], "comments"),
    "numbers as text": ('{"A": "0.7", "B": "0.3", "C": "0", "D": "0"}', [0.7, 0.3, 0, 0], "text"),
    "percent signs": ('{"A": "70%", "B": "30 %", "C": "0%", "D": "0%"}', [0.7, 0.3, 0, 0], "perc"),
    "percentages": ('{"A": 70, "B": 20, "C": 5, "D": 5}', [0.7, 0.2, 0.05, 0.05], "percentages"),
    "fractions": ('{"A": "0.7/1", "B": "3/10", "C": "0/10", "D": 0}', [0.7, 0.3, 0, 0], "fraction"),
    "decimal commas": ('{"A": "0,7", "B": "0,3", "C": 0, "D": 0}', [0.7, 0.3, 0, 0], "comma"),
    "sum of 1.2": ('{"A": 0.6, "B": 0.6, "C": 0, "D": 0}', [0.5, 0.5, 0, 0], "sum 1.2"),
    "sum of 120": ('{"A": 60, "B": 60, "C": 0, "D": 0}', [0.5, 0.5, 0, 0], "sum 1.2"),
    "left out": ('{"A": 0.7, "B": 0.3}', [0.7, 0.3, 0, 0], "2 labels that were left out"),
    "one alone": ('{"B": 0.7}', [0.1, 0.7, 0.1, 0.1], "3 labels that were left out share 0.3"),
    "twice, alike": ('{"A": 0.7, "A": 0.7, "B": 0.3, "C": 0, "D": 0}', [0.7, 0.3, 0, 0], "twice"),
    "no option, 0": ('{"A": 0.7, "B": 0.3, "C": 0, "D": 0, "E": 0}', [0.7, 0.3, 0, 0], "no option"),
    "lines": ("A: 0.7\nB: 0,1\nC: .1\nD: 1/10", [0.7, 0.1, 0.1, 0.1], "no JSON"),
    "bold list": ("- **A**: 70%\n- **B**: 30%", [0.7, 0.3, 0, 0], "no JSON"),
    "table": ("| A | 0.7 |\n| B | 0.3 |", [0.7, 0.3, 0, 0], "no JSON"),
    "a sentence": (
        "The probabilities are A = 0.5, B = 0.5, C = 0, D = 0.", [0.5, 0.5, 0, 0], "no JSON",
    ),
    "the number first": ("70% A, 30% B", [0.7, 0.3, 0, 0], "no JSON"),
    "cut off, but whole": ('{"A": 0.7, "B": 0.3, "C": 0, "D": 0', [0.7, 0.3, 0, 0], "no JSON"),
    "a list of objects": (
        'Here: {"beliefs": [{"label": "A", "probability": 0.97}, {"option": "B", "p": 0.03}]}',
        [0.97, 0.03, 0, 0], "left out",
    ),
}  # fmt: skip
INVALID = {
    "refusal": ("I'm sorry, but I cannot help with that.", "no probabilities"),
    "nothing": ("", "no probabilities"),
    "an answer alone": ("A", "no probabilities"),
    "negative": ('{"A": -0.1, "B": 1.1, "C": 0, "D": 0}', "negative"),
    "NaN": ('{"A": NaN, "B": 1, "C": 0, "D": 0}', "nan"),
    "infinite": ('{"A": Infinity, "B": 1, "C": 0, "D": 0}', "inf"),
    "all 0": ('{"A": 0, "B": 0, "C": 0, "D": 0}', "all numbers are 0"),
    "words": ('{"A": "high", "B": 0.1, "C": 0, "D": 0}', "'high' for a probability"),
    "null": ('{"A": null, "B": 0.1, "C": 0, "D": 0}', "'None' for a probability"),
    "another option": ('{"A": 0.5, "B": 0.2, "C": 0, "D": 0, "E": 0.3}', "`E` is no option"),
    "twice, unlike": ('{"A": 0.5, "A": 0.4, "B": 0.1, "C": 0, "D": 0}', "two numbers"),
    "cut off": ('{"A": 0.7, "B": 0.2, "C": 0.', "1 labels are left out"),
    "left out": ('{"A": 0.4, "B": 0.1}', "2 labels are left out"),
    "scores": ('{"A": 7, "B": 3, "C": 1, "D": 0}', "no percentages"),
    "a list": ("[0.7, 0.1, 0.1, 0.1]", "no probabilities"),
}


@pytest.mark.parametrize("case", VALID)
def test_valid(case: str) -> None:
    text, expected = VALID[case]
    found = read_distribution(text, CITIES)
    assert found.status == "valid" and found.notes == ()
    assert found.probabilities == pytest.approx(expected)


@pytest.mark.parametrize("case", REPAIRED)
def test_repaired_and_said_how(case: str) -> None:
    text, expected, note = REPAIRED[case]
    found = read_distribution(text, CITIES)
    assert found.status == "repaired" and note in "; ".join(found.notes)
    assert found.probabilities == pytest.approx(expected)


@pytest.mark.parametrize("case", INVALID)
def test_invalid_and_said_why(case: str) -> None:
    text, note = INVALID[case]
    found = read_distribution(text, CITIES)
    assert found.status == "invalid" and found.probabilities is None
    assert note in found.notes[0]


def test_names_of_options() -> None:
    assert name_options([" yes", " no"]).names == ("yes", "no")
    assert name_options(["a " * 40, "b " * 40]).names == ("A", "B")
    assert name_options(["alike", "Alike"]).names == ("A", "B")
    assert name_options([f"{i} " * 40 for i in range(30)]).names[29] == "30"
    assert read_distribution('{"Positive": 0.9, "NEGATIVE": 0.1}', MOODS).status == "valid"
    twins = Labels(["A", "B"], ["alike", "alike"])
    assert twins.find("A") == 0 and twins.find("alike") is None


@given(st.lists(st.integers(0, 100), min_size=2, max_size=4).filter(lambda v: sum(v) > 0))
@few
def test_whatever_is_written_as_json_is_read(weights: list[int]) -> None:
    labels = Labels("ABCD"[: len(weights)])
    total = sum(weights)
    written = {name: w / total for name, w in zip(labels.names, weights, strict=True)}
    found = read_distribution(json.dumps(written), labels)
    assert found.status == "valid"
    assert found.probabilities == pytest.approx(list(written.values()))


@given(st.text(max_size=200))
@few
def test_any_text_ends_in_a_reply(text: str) -> None:
    for labels in (CITIES, MOODS, Labels(["a.*b", "(", "\\"])):
        found = read_distribution(text, labels)
        assert isinstance(found, ReadReply)
        if found.probabilities is not None:
            assert sum(found.probabilities) == pytest.approx(1) and min(found.probabilities) >= 0


@pytest.mark.parametrize("text", ["{" * 30_000, '{"a":' * 5_000, "A: " * 20_000, "[" * 30_000])
def test_hostile_texts_end_soon(text: str) -> None:
    assert read_distribution(text, CITIES).status == "invalid"


def test_averages_and_the_uniform_one() -> None:
    assert average([(0.5, 0.5), (1.0, 0.0)]) == (0.75, 0.25)
    assert sum(uniform(7)) == pytest.approx(1)
