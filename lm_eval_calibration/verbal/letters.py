"""Which of a reply's tokens is its answer, and what the likeliest tokens there say of lettered options."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_calibration.verbal.thinking import spoken

LETTERS = string.ascii_uppercase
BEYOND = 0.5
"""An option outside the returned tokens has this share of the least probability that it may have at most."""
MARK = re.compile(r"(?:\*\*)?\banswer(?:\*\*)?[ \t]*[:\uff1a][ \t*_$(\[{]*", re.IGNORECASE)
"""Before the letter, where a model is asked to end with it."""
_LEAD = re.compile(
    r"[\s*_`\"'(\[]*(?:(?:the\s+)?(?:correct\s+|right\s+|best\s+)?(?:answer|option|choice|letter)\b\s*(?:is|:|\uff1a)?)?"
    r"[\s*_`\"'(\[:]*",
    re.IGNORECASE,
)
"""What may stand before the letter, where nothing else is asked for."""
_ARTICLE = re.compile(r"[Aa] [a-z]+")
_EDGES = string.punctuation + string.whitespace + "\u2581\u0120\u010a\u3000\u201c\u201d\u2018\u2019"


FOLLOWS = "\u2060"
"""The text of a token that goes on with the character of the one before it."""


class Token(NamedTuple):
    """A token of a reply.

    Attributes:
        text: as the server spells it; or `FOLLOWS`.
        top: the likeliest tokens in its place, with their log-probabilities; itself among them.
        scores: its log-probability, and margin and entropy of what was told of its place; () where
            nothing was.
    """

    text: str
    top: tuple[tuple[str, float], ...] = ()
    scores: tuple[float, ...] = ()


class Letters(NamedTuple):
    """What the tokens in one place say of K lettered options.

    Attributes:
        log_probabilities: (K,) in nats, over the whole vocabulary: they do not add up to 1.
        mass: what they add up to, of the options among the returned tokens.
        outside: how many options are not among them.
    """

    log_probabilities: NDArray[np.float64]
    mass: float
    outside: int


def letter_of(token: str) -> str:
    r"""The letter that a token spells, upper case; "" for none.

    >>> [letter_of(each) for each in ("A", " b", "(C", "D.", "\uff21", "AB", "", "7")]
    ['A', 'B', 'C', 'D', 'A', '', '', '']
    """
    plain = unicodedata.normalize("NFKC", token).strip(_EDGES).upper()
    return plain if len(plain) == 1 and plain in LETTERS else ""


def read_letters(top: Sequence[tuple[str, float]], letters: str) -> Letters | None:
    """The probabilities of some letters by the likeliest tokens; `None` if none of them is there.

    Tokens that spell the same letter are added up. A letter that is not there has less than the
    least likely token, and no more than all returned tokens leave: it is given `BEYOND` of that.

    Args:
        top: tokens and log-probabilities.
        letters: of the options, in their order.

    >>> found = read_letters([("A", math.log(0.5)), (" A", math.log(0.1)), ("B", math.log(0.3))], "ABC")
    >>> np.exp(found.log_probabilities).round(3), round(found.mass, 3), found.outside
    (array([0.6 , 0.3 , 0.05]), 0.9, 1)
    """
    sums = dict.fromkeys(letters, 0.0)
    for token, value in top:
        letter = letter_of(token)
        if letter in sums:
            sums[letter] += math.exp(min(value, 0.0))
    mass = math.fsum(sums.values())
    if mass <= 0:
        return None
    total = math.fsum(math.exp(min(value, 0.0)) for _, value in top)
    least = min(math.exp(min(value, 0.0)) for _, value in top)
    bound = max(min(least, 1 - total), np.finfo(float).tiny)
    found = [p if p > 0 else bound * BEYOND for p in sums.values()]
    return Letters(np.log(found), min(mass, 1.0), sum(p == 0 for p in sums.values()))


def answer_token(tokens: Sequence[Token], reply: str, letters: str, marked: bool) -> Token | None:
    r"""The token that is the answer: after any thinking, and after the mark, if it was asked for.

    There the first word, if it is a letter ("The answer is B" begins with one); else the last letter that stands
    alone; else the first token, whatever it is, as one would score the letters where the prompt ends. A reply that is
    empty has its end there.

    Args:
        tokens: of the reply, thinking included.
        reply: its text, as the server has it.
        letters: that may be the answer.
        marked: whether the answer stands after `MARK`.

    >>> words = [Token(each) for each in ("<think>", "A", "?", "</think>", "\n", "Answer", ":", " B")]
    >>> answer_token(words, "".join(each.text for each in words), "AB", marked=True).text
    ' B'
    >>> words = [Token(each) for each in ("I", " think", " it", " is", " A", ".")]
    >>> answer_token(words, "I think it is A.", "AB", marked=False).text
    ' A'
    """
    text = "".join(token.text for token in tokens)
    begin = _begin(text, reply)
    if begin is None:
        silent = tokens and not marked and not text.strip() and not reply.strip()
        return tokens[0] if silent else None
    if marked:
        found = list(MARK.finditer(text, begin))
        if not found:
            return None
        begin = found[-1].end()
    lead = _LEAD.match(text, begin)
    place = lead.end() if lead else begin
    first = _token_at(tokens, place)
    if first is not None and is_letter(first, letters) and not _ARTICLE.match(text, place):
        return first
    alone = re.compile(rf"(?<![\w'])[{letters}](?![\w'])")
    last = [match.start() for match in alone.finditer(text, begin)]
    said = [t for t in (_token_at(tokens, at) for at in last) if t and is_letter(t, letters)]
    return said[-1] if said else (None if marked else _token_at(tokens, begin))


def is_letter(token: Token, letters: str) -> bool:
    """Whether a token spells one of some letters."""
    letter = letter_of(token.text)
    return letter != "" and letter in letters


def _token_at(tokens: Sequence[Token], place: int) -> Token | None:
    """The token that holds a character."""
    end = 0
    for token in tokens:
        end += len(token.text)
        if end > place:
            return token
    return None


def _begin(text: str, reply: str) -> int | None:
    """Where the spoken part of a reply begins among its tokens; `None` where it has not begun."""
    said = spoken(reply)
    if said.unfinished:
        return None
    words = said.text.strip()
    place = text.rfind(words) if words else -1
    if place >= 0:
        return place
    again = spoken(text)
    if again.unfinished or not again.text.strip():
        return None
    return max(text.rfind(again.text.strip()), 0)


def normalised(log_probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-probabilities that add up to 1.

    >>> np.exp(normalised(np.log([0.2, 0.2])))
    array([0.5, 0.5])
    """
    shifted = log_probabilities - log_probabilities.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def joined(
    groups: Sequence[Sequence[int]],
    within: Sequence[NDArray[np.float64]],
    winners: NDArray[np.float64],
) -> NDArray[np.float64]:
    """One distribution over options that were shown in several groups, by Luce's choice axiom.

    The winners of all groups were shown together once more: an option has the probability of its
    group's winner there times how it stands to that winner in its group, normalised.

    Args:
        groups: the options' numbers.
        within: log-probabilities of each group's.
        winners: log-probabilities of the groups' first largest options among each other.

    >>> two = joined([[0, 1], [2]], [np.log([0.8, 0.2]), np.log([1.0])], np.log([0.5, 0.5]))
    >>> np.exp(two).round(3)
    array([0.444, 0.111, 0.444])
    """
    found = np.empty(sum(map(len, groups)))
    for numbers, values, winner in zip(groups, within, winners, strict=True):
        found[list(numbers)] = winner + values - values.max()
    return normalised(found)
