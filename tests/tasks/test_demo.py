"""Laws of the demo's questions, and their answers worked out anew from the question texts."""

from __future__ import annotations

import hashlib
import json
import operator
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from lm_eval_calibration.tasks import demo
from lm_eval_calibration.tasks import demo_facts as tables
from lm_eval_calibration.tasks.demo import OPTION_COUNTS, SPLITS, DemoQuestion, load_demo, questions

Words = tuple[str, ...]

QUESTIONS = questions()
TOPICS = sorted({question.topic for question in QUESTIONS})

# _sha256(questions()), printed once; a new value means that the questions changed, and with them
# every result obtained on them.
PINNED = "c1f2e527ade11a6d5677fa7119f9b0383b5f69ae8a8fe9d6f92488c7cab3c11f"

# Runs as a program of its own, with another seed of `hash()`.
DIGEST_PROGRAM = """
import hashlib, json, sys
from lm_eval_calibration.tasks.demo import questions
rows = [[question.split, question.document()] for question in questions()]
assert "datasets" not in sys.modules, "questions() must need the standard library only"
print(hashlib.sha256(json.dumps(rows).encode()).hexdigest())
"""


def _sha256(made: list[DemoQuestion]) -> str:
    rows = [[question.split, question.document()] for question in made]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _topic(name: str) -> list[DemoQuestion]:
    return [question for question in QUESTIONS if question.topic == name]


def _answer(question: DemoQuestion) -> str:
    return question.options[question.answer]


def _wrong(question: DemoQuestion) -> set[str]:
    return set(question.options) - {_answer(question)}


def _groups(pattern: str, question: DemoQuestion) -> tuple[str, ...]:
    match = re.fullmatch(pattern, question.question)
    assert match, f"{question.id}: {question.question!r} is not of the form {pattern!r}"
    return match.groups()


def test_numbers_of_questions() -> None:
    assert 400 <= len(QUESTIONS) <= 700
    assert len(TOPICS) >= 10
    assert min(Counter(question.topic for question in QUESTIONS).values()) >= 15


def test_ids_and_texts_are_unique() -> None:
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question.question for question in QUESTIONS}) == len(QUESTIONS)


def test_pinned() -> None:
    assert _sha256(questions()) == PINNED


@pytest.mark.parametrize("seed", ["1", "2"])
def test_same_in_another_process(seed: str) -> None:
    path = os.pathsep.join(filter(None, sys.path))
    environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
    command = [sys.executable, "-c", DIGEST_PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == PINNED


@pytest.mark.parametrize("topic", TOPICS)
def test_options_are_sound(topic: str) -> None:
    for question in _topic(topic):
        assert len(question.options) in OPTION_COUNTS
        assert len({option.casefold() for option in question.options}) == len(question.options)
        assert 0 <= question.answer < len(question.options)
        assert all(option and option == option.strip() for option in question.options)
        assert question.question.endswith("?")
        assert "{" not in question.question


@pytest.mark.parametrize("split", SPLITS)
def test_option_counts_and_positions_are_even(split: str) -> None:
    made = [question for question in QUESTIONS if question.split == split]
    cells = Counter((len(question.options), question.answer) for question in made)
    for n in OPTION_COUNTS:
        positions = [cells[n, position] for position in range(n)]
        assert max(positions) - min(positions) <= 1
        assert sum(positions) == pytest.approx(len(made) / 3, abs=1)


@pytest.mark.parametrize("topic", TOPICS)
def test_topic_is_in_both_splits_alike(topic: str) -> None:
    splits = Counter(question.split for question in _topic(topic))
    assert 0.45 <= splits["fit"] / len(_topic(topic)) <= 0.55


def test_splits_share_no_subject() -> None:
    splits: dict[str, set[str]] = defaultdict(set)
    for question in QUESTIONS:
        splits[question.subject].add(question.split)
    assert all(len(found) == 1 for found in splits.values())


def test_splits_share_no_country_or_element_by_name() -> None:
    names = [country.name for country in tables.COUNTRIES]
    names += [element.name for element in tables.ELEMENTS]
    for name in names:
        named = re.compile(rf"\b{name}( in)?\?")
        asked = {question.split for question in QUESTIONS if named.search(question.question)}
        assert len(asked) == 1, name


def test_splits_share_no_sum_in_another_order() -> None:
    triples: dict[object, set[str]] = defaultdict(set)
    for question in _topic("arithmetic"):
        a, word, b = _groups(r"What is (\d+) (\w+) (\d+)\?", question)
        numbers = frozenset((int(a), int(b), int(_answer(question))))
        triples["product" if word == "times" else "sum", numbers].add(question.split)
    assert all(len(found) == 1 for found in triples.values())


def test_arithmetic() -> None:
    operators = {"plus": operator.add, "minus": operator.sub, "times": operator.mul}
    for question in _topic("arithmetic"):
        a, word, b = _groups(r"What is (\d+) (\w+) (\d+)\?", question)
        assert int(_answer(question)) == operators[word](int(a), int(b))


def test_ordering() -> None:
    for question in _topic("ordering"):
        what, listed = _groups(r"Which (.*): (.*)\?", question)
        assert tuple(re.split(", | or ", listed)) == question.options
        key, best = {
            "number is the smallest": (int, min),
            "number is the largest": (int, max),
            "word comes first in alphabetical order": (str, min),
        }[what]
        assert _answer(question) == best(question.options, key=key)


def test_calendar() -> None:
    forms = (
        (r"Which month comes right after (\w+)\?", tables.MONTHS, tables.MONTHS, 1),
        (r"Which month is the (\w+) month of the year\?", tables.ORDINALS, tables.MONTHS, 0),
        (r"Which day of the week comes right after (\w+)\?", tables.DAYS, tables.DAYS, 1),
        (r"Which day of the week is three days after (\w+)\?", tables.DAYS, tables.DAYS, 3),
    )
    _check_positions("calendar", forms)


def test_planets() -> None:
    forms = (
        (r"Which planet is the (\w+) from the Sun\?", tables.ORDINALS, tables.PLANETS, 0),
        (r"Going outward .* right after (\w+)\?", tables.PLANETS, tables.PLANETS, 1),
    )
    _check_positions("planets", forms)


def _check_positions(topic: str, forms: Iterable[tuple[str, Words, Words, int]]) -> None:
    """The answer is found `steps` on from the place of the asked word, and only there."""
    for question in _topic(topic):
        form = next(form for form in forms if re.fullmatch(form[0], question.question))
        pattern, places, values, steps = form
        (asked,) = _groups(pattern, question)
        assert _answer(question) == values[(places.index(asked) + steps) % len(values)]
        assert set(question.options) <= set(values)


@pytest.mark.parametrize(
    ("topic", "field", "pattern"),
    [
        ("capitals", "capital", r"What is the capital of (.*)\?"),
        ("continents", "continent", r"Which continent is (.*) in\?"),
        ("currencies", "currency", r"What is the currency of (.*)\?"),
        ("languages", "language", r"What is the main language of (.*)\?"),
    ],
)
def test_countries(topic: str, field: str, pattern: str) -> None:
    right = {country.name: getattr(country, field) for country in tables.COUNTRIES}
    for question in _topic(topic):
        (country,) = _groups(pattern, question)
        assert _answer(question) == right[country]
        assert _wrong(question) <= set(right.values()) - {right[country], ""}


@pytest.mark.parametrize(
    ("topic", "field", "pattern"),
    [
        ("symbols", "symbol", r"What is the chemical symbol for (.*)\?"),
        ("atomic_numbers", "number", r"What is the atomic number of (.*)\?"),
    ],
)
def test_elements(topic: str, field: str, pattern: str) -> None:
    right = {element.name: str(getattr(element, field)) for element in tables.ELEMENTS}
    for question in _topic(topic):
        (element,) = _groups(pattern, question)
        assert _answer(question) == right[element]
        assert topic != "symbols" or _wrong(question) <= set(right.values())


def test_units() -> None:
    factors = {(unit.small, unit.large): unit.factor for unit in tables.UNITS}
    factors |= {(unit.small, unit.larges): unit.factor for unit in tables.UNITS}
    for question in _topic("units"):
        small, n, large = _groups(r"How many (.*) are in (\d+) (.*)\?", question)
        assert int(_answer(question)) == int(n) * factors[small, large]


def test_counts() -> None:
    right = {text: str(number) for text, _, number in tables.COUNTS}
    assert {question.question: _answer(question) for question in _topic("counts")} == right


def test_opposites() -> None:
    for rows in tables.OPPOSITES:
        _check_words("opposites", r"What is the opposite of \"(.*)\"\?", rows)


def test_young() -> None:
    _check_words("young", r"What is a young (.*) called\?", tables.YOUNG)


def _check_words(topic: str, pattern: str, rows: Iterable[Words]) -> None:
    """Wrong options are answers of other rows, and none of the words that are right too."""
    asked = {_groups(pattern, question)[0]: question for question in _topic(topic)}
    for word, *right in rows:
        assert _answer(asked[word]) == right[0]
        assert _wrong(asked[word]) <= {row[1] for row in rows} - set(right)


def test_plurals() -> None:
    right = dict(tables.PLURALS)
    for question in _topic("plurals"):
        (word,) = _groups(r"What is the plural of \"(.*)\"\?", question)
        assert _answer(question) == right[word]
        assert not _wrong(question) & {word, *right, *right.values()}


@pytest.mark.parametrize("split", SPLITS)
def test_dataset(split: str) -> None:
    rows = load_demo(version=1.0)[split]
    documents = {question.id: question.document() for question in QUESTIONS}
    ids = [question.id for question in QUESTIONS if question.split == split]
    assert sorted(rows["id"]) == sorted(ids)
    assert all(row == documents[row["id"]] for row in rows)
    assert set(rows["topic"][:150]) == set(TOPICS)  # mixed, for the harness's --limit


def test_loads_by_path_as_the_harness_does() -> None:
    """The harness runs a `!function` module from its file, before `sys.modules` knows it."""
    spec = spec_from_file_location("demo_by_path", demo.__file__)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert _sha256(module.questions()) == PINNED
