"""Prompts that have a model choose among answers, and the reading of what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence

MARK = "Best answer:"

_SHOWN = """\
Question: {{ question }}

Possible answers:
{% for candidate in candidates %}

Answer {{ loop.index }}: {{ candidate }}
{% endfor %}

"""
INDEX = _SHOWN + "Which answer is the best? Reply with its number only."
REASONED = _SHOWN + (
    "Go through the answers one by one and say where each of them goes wrong, if it does. Then "
    "end with a line of this form, where k is the number of the best answer:\nBest answer: k"
)
VERBATIM = _SHOWN + "Which answer is the best? Repeat it word for word, and write nothing else."


def read_index(words: str, candidates: Sequence[str]) -> int | None:
    """The number that a reply names, from 0; `None` where it names none of the candidates.

    The last one after the mark, if there is a mark; else the only number from 1 to n in the reply,
    or the one that it begins or ends with.

    >>> read_index("Best answer: 2", ["a", "b"]), read_index("The best is 1.", ["a", "b"])
    (1, 0)
    >>> read_index("3", ["a", "b"]), read_index("I cannot tell", ["a", "b"])
    (None, None)
    """
    marked = re.findall(rf"{MARK}\W*(\d+)", words, re.IGNORECASE)
    if marked:
        return _valid(int(marked[-1]), len(candidates))
    numbers = [int(found) for found in re.findall(r"(?<![\w.])\d+(?![\w]|\.\d)", words)]
    if not numbers:
        return None
    if len(set(numbers)) == 1:
        return _valid(numbers[0], len(candidates))
    first = re.match(r"\W*(?:answer\W*)?(\d+)\b", words, re.IGNORECASE)
    if first:
        return _valid(int(first.group(1)), len(candidates))
    last = re.search(r"(\d+)\W*$", words)
    return _valid(int(last.group(1)), len(candidates)) if last else None


def read_verbatim(words: str, candidates: Sequence[str]) -> int | None:
    """The candidate that a reply repeats; `None` where it repeats none, or several different ones.

    >>> read_verbatim("the second", ["The first.", "The second."])
    1
    """
    said, texts = _plain(words), [_plain(candidate) for candidate in candidates]
    if said in texts:
        return texts.index(said)
    inside = [i for i, text in enumerate(texts) if text and text in said]
    return inside[0] if len({texts[i] for i in inside}) == 1 else None


def back(place: int | None, order: Sequence[int]) -> int | None:
    """The candidate that stood at a place."""
    return None if place is None else order[place]


def _valid(number: int, count: int) -> int | None:
    return number - 1 if 1 <= number <= count else None


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w]+", " ", text.lower()).split())
