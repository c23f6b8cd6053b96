"""What a model replies when it is asked for probabilities, read with care.

Every reply is valid, repaired (and how is recorded) or invalid (and why). Nothing is guessed: mass on
a name that is no option, a negative number, or labels left out of which one may be the likeliest are
no distribution.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lm_eval_calibration.verbal.json_like import LONGEST, Pairs, objects
from lm_eval_calibration.verbal.labels import Labels, plain
from lm_eval_calibration.verbal.numbers import PATTERN, Number, read_number
from lm_eval_calibration.verbal.thinking import spoken

Status = Literal["valid", "repaired", "invalid", "cut"]
ABOUT_ONE, SURELY_ONE = (0.9, 1.1), (0.95, 1.05)
"""Sums that are taken as rounding; sums at which labels that are left out are 0."""
PERCENT = (50.0, 200.0)
"""Sums of numbers above 1 that are percentages."""
NEGLIGIBLE = 0.02
"""Mass on what is no option, that may be dropped."""
NO_JSON = "no JSON"
"""The repair of numbers that were found in prose, or in an object that was cut off."""
ASIDE = frozenset(
    map(plain, ("confidence", "total", "sum", "overall confidence", "probability", "certainty"))
)
"""Members of an object that are no labels."""
LABEL_KEYS = ("label", "option", "answer", "class", "name", "guess", "choice")
NUMBER_KEYS = ("probability", "prob", "p", "confidence", "score", "value")
_NUMBER = rf"(?<!\d)(?P<number>[<\u2248~]?\s?{PATTERN}(?:\s?(?:%|percent|per cent|pct|/\s?\d+(?:\.\d+)?))?)"
_SIGN = r"(?:[:=|\u2192\u2013-]|\bis\b|\bhas\b|\bat\b)"
"""What stands between a label and its number, dashes and arrows included."""
_SPACES = re.compile(r"\s+")
_FEW = 20
"""So many signs may stand around it: what may be of any length takes any time to be found missing."""


@dataclass(frozen=True)
class ReadReply:
    """A reply as it was read.

    Attributes:
        probabilities: (K,) of the options, summing to 1; `None` if the reply is invalid.
        status: `valid`, `repaired`, `invalid`, or `cut` where it ended before it could be read.
        notes: what was repaired, or why it is invalid.
        total: sum of the numbers as they were written, in units of 1; NaN if there are none.
    """

    probabilities: tuple[float, ...] | None
    status: Status
    notes: tuple[str, ...] = ()
    total: float = math.nan


class _InvalidError(Exception):
    """Why a reply is no distribution."""


Found = list[tuple[str, int | None, Number]]
"""(as written, option, number) in the order written."""


def read_distribution(text: str, labels: Labels) -> ReadReply:
    """A probability for every option.

    >>> read_distribution('{"yes": 0.7, "no": 0.3}', Labels(["yes", "no"])).probabilities
    (0.7, 0.3)
    >>> read_distribution("yes: 70%, no: 30%", Labels(["yes", "no"])).notes
    ('no JSON', 'percent sign')
    >>> read_distribution("I cannot say.", Labels(["yes", "no"])).notes
    ('no probabilities',)
    """
    return _read(text, labels, _settled)


def read_guesses(text: str, labels: Labels) -> ReadReply:
    """Probabilities of some options; what they leave is shared by the others.

    >>> read_guesses('{"b": 0.6}', Labels(["a", "b", "c"])).probabilities
    (0.2, 0.6, 0.2)
    """
    return _read(text, labels, _shared)


def _read(
    text: str, labels: Labels, settle: Callable[[Found, Labels, list[str]], ReadReply]
) -> ReadReply:
    text, other = spoken(text).text[-LONGEST:], ""
    try:
        for pairs, repair in objects(text):
            other = other or _other_keys(pairs)
            found = _of_object(pairs, labels)
            if found:
                return settle(found, labels, [repair] if repair else [])
        found = _of_prose(text, labels)
        if found:
            return settle(found, labels, [NO_JSON])
    except _InvalidError as error:
        return ReadReply(None, "invalid", (str(error),))
    return ReadReply(None, "invalid", (other or "no probabilities",))


def _other_keys(pairs: Pairs) -> str:
    """That an object has numbers for what is no option; "" if it has none."""
    keys = [
        key for key, value in pairs if read_number(value) is not None and plain(key) not in ASIDE
    ]
    return f"numbers for {', '.join(keys)[:40]}, which are no options" if keys else ""


def _of_object(pairs: Pairs, labels: Labels) -> Found:
    """The labels' numbers in an object, or in what it holds."""
    found: Found = []
    known = 0
    for key, value in pairs:
        option, number = labels.find(key), read_number(value)
        if option is not None and number is None and not isinstance(value, (dict, list)):
            raise _InvalidError(f"`{key}` has {str(value)[:20]!r} for a probability")
        if number is None or (option is None and plain(key) in ASIDE):
            continue
        known += option is not None
        found.append((key, option, number))
    if known:
        return found
    for _, value in pairs:
        inner = _of_object(getattr(value, "pairs", []), labels) or _of_list(value, labels)
        if inner:
            return inner
    return []


def _of_list(value: Any, labels: Labels) -> Found:
    """The labels' numbers in a list of objects such as {"label": ..., "probability": ...}."""
    if not isinstance(value, list):
        return []
    found: Found = []
    for entry in value:
        members = {plain(str(k)): v for k, v in entry.items()} if isinstance(entry, dict) else {}
        name = next((members[k] for k in LABEL_KEYS if k in members), None)
        number = next((read_number(members[k]) for k in NUMBER_KEYS if k in members), None)
        if name is not None and number is not None:
            found.append((str(name), labels.find(str(name)), number))
    return found if any(option is not None for _, option, _ in found) else []


def _of_prose(text: str, labels: Labels) -> Found:
    """Numbers that follow a label and a sign such as a colon, or else come before a label."""
    text = _SPACES.sub(lambda run: "\n" if "\n" in run[0] else " ", text)
    names = "|".join(_words(alias) for alias, _ in labels.written())
    name = rf"(?<![\w-])(?P<name>{names})(?![\w-])"
    after = rf"{name}[^\w\n.]{{0,{_FEW}}}?{_SIGN}[^\w\n.,]{{0,{_FEW}}}{_NUMBER}"
    before = rf"{_NUMBER}(?:\s(?:chance|probability))?(?:\s(?:of|for|that it is|on))?\s?[\"'*]{{0,{_FEW}}}{name}"
    for pattern in (after, before):
        found: Found = []
        for match in re.finditer(pattern, text, re.IGNORECASE):
            value = read_number(match["number"].strip().rstrip(".,"))
            if value is not None:
                found.append((match["name"], labels.find(match["name"]), value))
        if found:
            return found
    return []


def _words(alias: str) -> str:
    return r"[\s_]".join(re.escape(word) for word in alias.split())


def _scaled(
    found: Found, labels: Labels, repairs: list[str], percent: tuple[float, float]
) -> dict[int, float]:
    """Each option's number in units of 1; numbers above 1 whose sum is in `percent` are percentages."""
    values = _merged(found, labels, repairs)
    repairs += dict.fromkeys(n.repair for _, option, n in found if n.repair and option is not None)
    total = sum(values.values())
    if values and max(values.values()) > 1:
        if not percent[0] <= total <= percent[1] or any(n.percent for _, _, n in found):
            raise _InvalidError(f"the numbers sum to {total:g}: no probabilities, no percentages")
        values = {option: value / 100 for option, value in values.items()}
        repairs.append("percentages")
    if sum(values.values()) <= 0:
        raise _InvalidError("all numbers are 0")
    return values


def _shared(found: Found, labels: Labels, repairs: list[str]) -> ReadReply:
    """Guesses, and the rest of the probability in equal parts for the other options."""
    values = _scaled(found, labels, repairs, (1.0, PERCENT[1]))
    total = sum(values.values())
    others = len(labels) - len(values)
    if total > ABOUT_ONE[1]:
        repairs.append(f"sum {total:.3g}")
    rest = max(1.0 - total, 0.0) / others if others else 0.0
    whole = total + rest * others
    probabilities = tuple(values.get(i, rest) / whole for i in range(len(labels)))
    return ReadReply(probabilities, "repaired" if repairs else "valid", tuple(repairs), total)


def _settled(found: Found, labels: Labels, repairs: list[str]) -> ReadReply:
    """The numbers as a distribution over all labels."""
    values = _scaled(found, labels, repairs, PERCENT)
    total = sum(values.values())
    missing = len(labels) - len(values)
    if missing and NO_JSON not in repairs and max(values.values()) > 1 - total > 1 - SURELY_ONE[0]:
        repairs.append(f"{missing} labels that were left out share {1 - total:.2g}")
        shared = dict.fromkeys(range(len(labels)), (1 - total) / missing) | values
        return ReadReply(
            tuple(shared[i] for i in range(len(labels))), "repaired", tuple(repairs), total
        )
    if missing and not SURELY_ONE[0] <= total <= SURELY_ONE[1]:
        raise _InvalidError(f"{missing} labels are left out, and the others sum to {total:g}")
    if missing:
        repairs.append(f"{missing} labels that were left out are 0")
    if not ABOUT_ONE[0] <= total <= ABOUT_ONE[1]:
        repairs.append(f"sum {total:.3g}")
    probabilities = tuple(values.get(i, 0.0) / total for i in range(len(labels)))
    return ReadReply(probabilities, "repaired" if repairs else "valid", tuple(repairs), total)


def _merged(found: Found, labels: Labels, repairs: list[str]) -> dict[int, float]:
    """Each option's number; what is written twice must be the same."""
    values: dict[int, float] = {}
    for written, option, number in found:
        value = number.value
        if not math.isfinite(value):
            raise _InvalidError(f"`{written}` has {value}")
        if value < 0:
            raise _InvalidError(f"`{written}` has a negative number, {value:g}")
        if option is None:
            if value > NEGLIGIBLE * (100 if value > 1 else 1):
                raise _InvalidError(f"`{written}` is no option, and has {value:g}")
            repairs.append(f"`{written}` is no option")
            continue
        if values.setdefault(option, value) != value:
            raise _InvalidError(f"`{labels.names[option]}` has two numbers")
    if len(found) > len({option for _, option, _ in found}):
        repairs.append("a label is written twice")
    return values


def uniform(count: int) -> tuple[float, ...]:
    """What stands for a reply that says nothing."""
    return (1.0 / count,) * count


def average(replies: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """The mean of several distributions over the same options, before any logarithm."""
    rows = list(replies)
    return tuple(sum(column) / len(rows) for column in zip(*rows, strict=True))
