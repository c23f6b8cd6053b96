"""Where in an answer its letter stands, and what the log-probabilities there say of each option."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.logs.formats.harness.bad import BadLineError, OtherTypeError, shown
from lm_eval_calibration.logs.formats.harness.line import ROUNDING
from lm_eval_calibration.logs.gathered import number

NO_CONFIDENCE = "no log-probabilities of several tokens for the answer"
MOST_UNKNOWN = 0.01
"""Of the options' probability, what those that are not among the top tokens may hold at most."""
MOST_OPTIONS = 26
"""Options that have a letter."""
_LINE = re.compile(r"(?im)^ANSWER\s*:[\s*$(▁Ġ]*([A-Z])\b")
_ANYWHERE = re.compile(r"(?i)ANSWER\s*:[\s*$(▁Ġ]*([A-Z])(?![A-Za-z])")
_ALONE = re.compile(r"[\s*$(▁Ġ]*([A-Za-z])[\s*$).]*")
_AROUND = " \t\r\n*$().,:▁Ġ"
"""What may stand in one token with a letter: spaces, as two kinds of tokenizer write them too."""


class AskedSample(NamedTuple):
    """What the model believed of its own letters.

    letter: the position of the one that it gave; logits: of all of them; outside: the probability of
    what is none of them.
    """

    letter: int
    logits: list[float]
    outside: float


def asked(content: Any, count: int) -> AskedSample:
    """The belief over letters where an answer gives its letter.

    Args:
        content: `logprobs.content`, the answer token by token.
        count: how many options there are.

    Raises:
        OtherTypeError: there are no log-probabilities of several tokens.
        BadLineError: there is no letter; or options that are not listed may hold too much.
    """
    tokens = [str(token["token"]) for token in content]
    place, letter = _letter(tokens, count)
    listed = _listed(content[place])
    masses = _masses(listed, count)
    logits = _bounded(masses, listed)
    known = sum(masses)
    return AskedSample(letter, logits, max(0.0, 1 - known))


def _letter(tokens: Sequence[str], count: int) -> tuple[int, int]:
    """Which token gives the letter, and which option it is."""
    text = "".join(tokens)
    found = [*_LINE.finditer(text)] or [*_ANYWHERE.finditer(text)]
    match = found[-1] if found else _ALONE.fullmatch(text)
    letter = ord(match[1].upper()) - ord("A") if match else count
    if match is None or letter >= count:
        raise BadLineError(f"the answer {shown(text)} gives no letter of an option, so no belief")
    ends = 0
    for place, token in enumerate(tokens):
        ends += len(token)
        if ends > match.start(1):
            if _option(token) != letter:
                break
            return place, letter
    raise BadLineError(f"the letter is no token of its own in {shown(text)}")


def _option(token: str) -> int | None:
    """Which option a token names, if it is a letter."""
    bare = token.strip(_AROUND).upper()
    return ord(bare) - ord("A") if len(bare) == 1 and "A" <= bare <= "Z" else None


def _listed(token: Mapping[str, Any]) -> dict[str, float]:
    """The log-probabilities at a place, its own token among them."""
    top = token.get("top_logprobs")
    if not top:
        raise OtherTypeError(NO_CONFIDENCE)
    listed = {str(each["token"]): number(each["logprob"], "logprob", ROUNDING) for each in top}
    listed.setdefault(str(token["token"]), number(token["logprob"], "logprob", ROUNDING))
    total = math.fsum(math.exp(value) for value in listed.values())
    if total > 1 + 10 * ROUNDING:
        raise BadLineError(f"the probabilities of its top tokens add up to {total:.4g}")
    return listed


def _masses(listed: Mapping[str, float], count: int) -> list[float]:
    masses = [0.0] * count
    for token, value in listed.items():
        option = _option(token)
        if option is not None and option < count:
            masses[option] += math.exp(value)
    return masses


def _bounded(masses: Sequence[float], listed: Mapping[str, float]) -> list[float]:
    """Logits; what is not listed has at most what the least likely one listed has, and is taken for it.

    Raises:
        BadLineError: that may be too much.
    """
    missing = [i for i, mass in enumerate(masses) if not mass]
    rest = max(0.0, 1 - math.fsum(math.exp(value) for value in listed.values()))
    bound = min(math.exp(min(listed.values())), rest / max(len(missing), 1))
    unknown = bound * len(missing)
    share = unknown / (unknown + math.fsum(masses))
    if share > MOST_UNKNOWN:
        names = ", ".join(chr(ord("A") + i) for i in missing)
        raise BadLineError(
            f"{names} not among its {len(listed)} most likely tokens, and may hold {share:.1%} of "
            "the options' probability: run `inspect eval` with --top-logprobs 20"
        )
    return [math.log(mass) if mass else _log(bound) for mass in masses]


def _log(p: float) -> float:
    return math.log(p) if p > 0 else -math.inf
