"""Questions of the `calib_demo` task: a few hundred facts with three to five options each.

Made from the tables of :mod:`lm_eval_calibration.tasks.demo_facts`, so that the demo needs no
download. The topics differ in difficulty on purpose: a small model is nearly always right on some
and at chance on others, which spreads its confidences. It is material for trying a calibrator,
not a benchmark of knowledge.

Nothing is random: every order is that of SHA-256 digests, which are the same in every process and
Python version.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count, islice, pairwise
from typing import TYPE_CHECKING, NamedTuple

# Absolute, because the harness loads a `!function` module by its path, outside its package.
from lm_eval_calibration.tasks import demo_facts as tables
from lm_eval_calibration.tasks.demo_facts import Fact

if TYPE_CHECKING:
    import datasets

SPLITS = ("fit", "test")
OPTION_COUNTS = (3, 4, 5)
_ABOUT_COUNTRIES = (
    ("capitals", "capital", "What is the capital of {}?"),
    ("continents", "continent", "Which continent is {} in?"),
    ("currencies", "currency", "What is the currency of {}?"),
    ("languages", "language", "What is the main language of {}?"),
)


# A NamedTuple and not a dataclass: a dataclass with postponed annotations looks its module up in
# `sys.modules`, where a module that the harness loads by its path is not yet.
class DemoQuestion(NamedTuple):
    """One multiple-choice question; `answer` is the index of the right option."""

    id: str
    topic: str
    question: str
    options: tuple[str, ...]
    answer: int
    split: str
    subject: str

    def document(self) -> dict[str, object]:
        """The dataset row: `id`, `topic`, `question`, `options` (a list) and `answer`."""
        return {
            "id": self.id,
            "topic": self.topic,
            "question": self.question,
            "options": list(self.options),
            "answer": self.answer,
        }


def load_demo(**_: object) -> dict[str, datasets.Dataset]:
    """The splits "fit" and "test", for the harness's `custom_dataset`; rows as of `document`.

    Topics are mixed, so that the harness's `--limit` still meets all of them. Keyword arguments
    are ignored: the harness passes a task's `metadata`, which says nothing about the questions.
    """
    import datasets

    made = sorted(questions(), key=lambda question: _digest(question.id))
    return {
        split: datasets.Dataset.from_list([q.document() for q in made if q.split == split])
        for split in SPLITS
    }


def questions() -> list[DemoQuestion]:
    """All questions, topic by topic, in the order of the tables.

    The splits are about equal in every topic and share no subject, although a wrong option of one
    may be a right one of the other. Within a split, the numbers of options are equally frequent
    and, for each number of options, so are the positions of the right one.
    """
    facts = [fact for topic in _TOPICS for fact in topic()]
    splits = _splits(facts)
    layouts = _layouts(facts, splits)
    numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(1))
    return [
        _question(fact, f"{fact.topic}-{next(numbers[fact.topic])}", splits[fact.subject], layout)
        for fact, layout in zip(facts, layouts, strict=True)
    ]


def _question(fact: Fact, id_: str, split: str, layout: tuple[int, int]) -> DemoQuestion:
    """Place the answer at its index among wrong options; `layout` is (options, index)."""
    n_options, answer = layout
    options = _shuffled(fact.wrong, _key(fact))[: n_options - 1]
    options.insert(answer, fact.answer)
    listed = f"{', '.join(options[:-1])} or {options[-1]}"
    text = fact.text.replace("{listed}", listed)
    return DemoQuestion(id_, fact.topic, text, tuple(options), answer, split, fact.subject)


def _splits(facts: Iterable[Fact]) -> dict[str, str]:
    """Split of every subject: subjects asked about in the same topics alternate."""
    topics: dict[str, list[str]] = defaultdict(list)
    for fact in facts:
        topics[fact.subject].append(fact.topic)
    order = sorted(topics, key=lambda subject: (topics[subject], _digest(subject)))
    return {subject: SPLITS[i % 2] for i, subject in enumerate(order)}


def _layouts(facts: Sequence[Fact], splits: dict[str, str]) -> list[tuple[int, int]]:
    """For every fact its number of options and the index of the right one."""
    placed: dict[int, tuple[int, int]] = {}
    for split in SPLITS:
        rows = [row for row, fact in enumerate(facts) if splits[fact.subject] == split]
        rows.sort(key=lambda row: (facts[row].topic, _digest(_key(facts[row]))))
        for i, row in enumerate(rows):
            turn, kind = divmod(i, len(OPTION_COUNTS))
            placed[row] = (OPTION_COUNTS[kind], turn % OPTION_COUNTS[kind])
    return [placed[row] for row in range(len(facts))]


def _key(fact: Fact) -> str:
    return f"{fact.subject}|{fact.text}"


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _shuffled(items: Iterable[str], key: str) -> list[str]:
    """The distinct items in an order that depends on them and on `key` alone."""
    return sorted(set(items), key=lambda item: _digest(f"{key}|{item}"))


def _draws(key: str, low: int, high: int) -> Iterator[int]:
    """Endless numbers in low..high, repeatable by `key`."""
    return (low + int(_digest(f"{key}|{i}"), 16) % (high - low + 1) for i in count())


def _others(items: Iterable[str], *right: str) -> tuple[str, ...]:
    return tuple(item for item in dict.fromkeys(items) if item not in right)


def _near(value: int, offsets: Iterable[int]) -> tuple[str, ...]:
    """The positive numbers at these distances, on either side of `value`."""
    return tuple(str(value + sign * d) for d in offsets for sign in (-1, 1) if value + sign * d > 0)


def _countries() -> Iterator[Fact]:
    for topic, field, ask in _ABOUT_COUNTRIES:
        values = [value for country in tables.COUNTRIES if (value := getattr(country, field))]
        for country in tables.COUNTRIES:
            if value := getattr(country, field):
                text, wrong = ask.format(country.name), _others(values, value)
                yield Fact(topic, f"country {country.name}", text, value, wrong)


def _symbols() -> Iterator[Fact]:
    symbols = [element.symbol for element in tables.ELEMENTS]
    for name, symbol, _ in tables.ELEMENTS:
        wrong = _others(symbols, symbol)
        alike = tuple(s for s in wrong if s[0] in (symbol[0], name[0].upper()))
        text = f"What is the chemical symbol for {name}?"
        yield Fact("symbols", f"element {name}", text, symbol, alike if len(alike) > 3 else wrong)


def _atomic_numbers() -> Iterator[Fact]:
    for name, _, number in tables.ELEMENTS:
        text, wrong = f"What is the atomic number of {name}?", _near(number, (1, 2, 3, 4))
        yield Fact("atomic_numbers", f"element {name}", text, str(number), wrong)


def _arithmetic() -> Iterator[Fact]:
    small, medium, large = (2, 9), (11, 99), (101, 999)
    for bounds in (small, medium, large):
        for i, (a, b) in enumerate(_operands(14, bounds, bounds)):
            term, answer = (f"{a} plus {b}", a + b) if i % 2 else (f"{a + b} minus {b}", a)
            yield _calculation(f"sum {min(a, b)} {max(a, b)}", term, answer)
    for first, second in ((small, small), (small, medium), (medium, medium)):
        for a, b in _operands(7, first, second):
            yield _calculation(f"product {a} {b}", f"{a} times {b}", a * b)


def _calculation(subject: str, term: str, answer: int) -> Fact:
    wrong = _near(answer, (1, 2, 10, 20))
    return Fact("arithmetic", subject, f"What is {term}?", str(answer), wrong)


def _operands(n: int, first: tuple[int, int], second: tuple[int, int]) -> list[tuple[int, int]]:
    """`n` pairs within the bounds, no two of them of the same two numbers."""
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    draws = zip(_draws(f"a {first} {second}", *first), _draws("b", *second), strict=False)
    while len(pairs) < n:
        pair = next(draws)
        pairs.setdefault(frozenset(pair), pair)
    return list(pairs.values())


def _ordering() -> Iterator[Fact]:
    for low, high in ((10, 99), (200, 999), (3000, 3999)):
        for i in range(8):
            numbers = list(dict.fromkeys(islice(_draws(f"set {i}", low, high), 20)))[:5]
            word, right = ("largest", max(numbers)) if i % 2 else ("smallest", min(numbers))
            yield _ordered(f"Which number is the {word}", str(right), map(str, numbers))
    for words in tables.WORDS:
        yield _ordered("Which word comes first in alphabetical order", min(words), words)


def _ordered(ask: str, right: str, items: Iterable[str]) -> Fact:
    items = sorted(items)
    subject = f"set {' '.join(items)}"
    return Fact("ordering", subject, f"{ask}: {{listed}}?", right, _others(items, right))


def _calendar() -> Iterator[Fact]:
    yield from _later("Which month comes right after {}?", tables.MONTHS, 1)
    for month, nth in zip(tables.MONTHS, tables.ORDINALS, strict=True):
        text, wrong = f"Which month is the {nth} month of the year?", _others(tables.MONTHS, month)
        yield Fact("calendar", f"calendar {month}", text, month, wrong)
    yield from _later("Which day of the week comes right after {}?", tables.DAYS, 1)
    yield from _later("Which day of the week is three days after {}?", tables.DAYS, 3)


def _later(ask: str, cycle: Sequence[str], steps: int) -> Iterator[Fact]:
    for i, item in enumerate(cycle):
        answer = cycle[(i + steps) % len(cycle)]
        wrong = _others(cycle, item, answer)
        yield Fact("calendar", f"calendar {item}", ask.format(item), answer, wrong)


def _planets() -> Iterator[Fact]:
    for planet, nth in zip(tables.PLANETS, tables.ORDINALS, strict=False):
        text, wrong = f"Which planet is the {nth} from the Sun?", _others(tables.PLANETS, planet)
        yield Fact("planets", f"planet {planet}", text, planet, wrong)
    for before, planet in pairwise(tables.PLANETS):
        text = f"Going outward from the Sun, which planet comes right after {before}?"
        wrong = _others(tables.PLANETS, before, planet)
        yield Fact("planets", f"planet {planet}", text, planet, wrong)


def _units() -> Iterator[Fact]:
    factors = sorted({unit.factor for unit in tables.UNITS})
    for small, large, larges, factor in tables.UNITS:
        rank = factors.index(factor)
        close = sorted(factors, key=lambda other: abs(factors.index(other) - rank))[1:7]
        for n, name in ((1, large), (next(_draws(small + large, 2, 6)), larges)):
            text, wrong = f"How many {small} are in {n} {name}?", tuple(str(n * f) for f in close)
            yield Fact("units", f"unit {small} {large}", text, str(n * factor), wrong)


def _counts() -> Iterator[Fact]:
    for text, subject, number in tables.COUNTS:
        yield Fact("counts", f"count {subject}", text, str(number), _near(number, (1, 2, 3, 4)))


def _words() -> Iterator[Fact]:
    asks = [("opposites", 'What is the opposite of "{}"?', rows) for rows in tables.OPPOSITES]
    for topic, ask, rows in (*asks, ("young", "What is a young {} called?", tables.YOUNG)):
        answers = [answer for _, answer, *_ in rows]
        for asked, *right in rows:
            wrong = _others(answers, *right)
            yield Fact(topic, f"{topic} {asked}", ask.format(asked), right[0], wrong)


def _plurals() -> Iterator[Fact]:
    for word, plural in tables.PLURALS:
        again = plural + ("es" if plural.endswith("s") else "s")
        forms = (f"{word}s", f"{word}es", f"{word.rstrip('ey')}ies", f"{word}en", again)
        text = f'What is the plural of "{word}"?'
        yield Fact("plurals", f"plural {word}", text, plural, _others(forms, plural))


_TOPICS: tuple[Callable[[], Iterator[Fact]], ...] = (
    _countries,
    _symbols,
    _atomic_numbers,
    _arithmetic,
    _ordering,
    _calendar,
    _planets,
    _units,
    _counts,
    _words,
    _plurals,
)
