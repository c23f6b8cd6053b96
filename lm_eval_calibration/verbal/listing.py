"""A question's options as a lettered list: its own where it has one, so that they can be put in another order."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import NamedTuple

from lm_eval_calibration.verbal.letters import LETTERS


class Listing(NamedTuple):
    """A question and its options, apart.

    Attributes:
        question: without the list of options, if there was one.
        texts: the options; () where the question lists them in a way that cannot be taken apart.
        letters: by which they are called.
    """

    question: str
    texts: tuple[str, ...]
    letters: str


def listing(question: str, options: Sequence[str]) -> Listing:
    r"""Options apart from their question.

    Args:
        question: as the task puts it.
        options: as the task scores them: texts, or the letters of a list within the question.

    >>> listing("2 + 2?\nA. 3\nB. 4", ["A", "B"])
    Listing(question='2 + 2?', texts=('3', '4'), letters='AB')
    >>> listing("2 + 2?", ["three", "four"])
    Listing(question='2 + 2?', texts=('three', 'four'), letters='AB')
    >>> listing("Is it (A) or (B)?", ["(A)", "(B)"])
    Listing(question='Is it (A) or (B)?', texts=(), letters='AB')
    """
    names = [option.strip().strip(string.punctuation + " ") for option in options]
    if all(re.fullmatch(r"\w{1,2}", name) for name in names) and len(set(names)) == len(names):
        found = _listed(question, names)
        if found is not None:
            return found
        letters = "".join(names).upper()
        if len(letters) == len(names) and all(_named(question, each) for each in letters):
            return Listing(question, (), letters)
    return Listing(question, tuple(map(str.strip, options)), LETTERS[: len(options)])


def _named(question: str, letter: str) -> bool:
    """Whether a question calls something by a letter."""
    return letter in LETTERS and bool(re.search(rf"(?<!\w){letter}\s*[.):\]]", question))


def _listed(question: str, names: Sequence[str]) -> Listing | None:
    """The list with which a question ends, each option on lines of its own."""
    lines = question.rstrip().split("\n")
    starts: list[int] = []
    texts: list[str] = []
    at = len(lines)
    for name in reversed(names):
        begins = re.compile(rf"\s*[(\[]?{re.escape(name)}\s*[.):\]]\s+(?=\S)")
        place = next((i for i in range(at - 1, -1, -1) if begins.match(lines[i])), None)
        if place is None:
            return None
        texts.insert(0, "\n".join([begins.sub("", lines[place], count=1), *lines[place + 1 : at]]))
        starts.append(place)
        at = place
    if "\n\n" in texts[-1]:  # (more is said after the list)
        return None
    before = "\n".join(lines[:at]).rstrip()
    plain = tuple(text.strip() for text in texts)
    return Listing(before, plain, LETTERS[: len(names)]) if before and all(plain) else None
