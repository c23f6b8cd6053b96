"""What HELM's separate adapters make of an instance: a request for each option, and a score of it.

HELM's own score of an option is the mean log-probability of its last tokens, as many as the option has
(`multiple_choice_separate_original`); or their sum, less that of the option after `Answer:` alone
(`multiple_choice_separate_calibrated`). See `BasicReferenceMetric` in crfm-helm.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lm_eval_calibration.logs.formats.harness.bad import BadLineError, shown
from lm_eval_calibration.logs.formats.harness.line import ROUNDING
from lm_eval_calibration.logs.gathered import number

ORIGINAL, CALIBRATED = "multiple_choice_separate_original", "multiple_choice_separate_calibrated"
SHIFTS = (0, 1, -1)
"""Tokens that an option may have more than its text shows: HELM counts them with its tokenizer's own
spaces, the file only tells each token's text. What HELM recorded tells which it is."""
_UNSHOWN = "\N{REPLACEMENT CHARACTER}"
"""How a token is shown that is a part of a character; or by its bytes, `bytes:\\xe2`."""
_SPECIAL = re.compile(r"<[^<>\s]+>|\[UNK\]")
"""A token of what the tokenizer does not know."""


class ScoreSpan(NamedTuple):
    """An option at the end of a request: log-probabilities of the last tokens, and how many are its own."""

    logprobs: list[float]
    own: int

    def total(self, shift: int) -> float:
        """Of the option's tokens."""
        return math.fsum(self.logprobs[-self.length(shift) :])

    def length(self, shift: int) -> int:
        """How many these are."""
        return min(max(self.own + shift, 1), len(self.logprobs))


def references_of(state: Mapping[str, Any]) -> tuple[list[str], list[int]]:
    """The options of an instance, and which of them are right."""
    references = state["instance"]["references"]
    texts = [reference["output"]["text"] for reference in references]
    if len(texts) < 2 or not all(isinstance(text, str) for text in texts):
        raise BadLineError(f"`references` must be two texts or more, got {shown(texts)}")
    return texts, [i for i, each in enumerate(references) if "correct" in each["tags"]]


def spans_of(
    states: Sequence[Mapping[str, Any]], texts: Sequence[str], mode: str
) -> list[ScoreSpan]:
    """The options' spans, of the requests of one mode.

    Raises:
        BadLineError: an option has no request, or several; its text is not at the end of one.
    """
    mine = [state for state in states if (state.get("request_mode") or "original") == mode]
    places = [state["reference_index"] for state in mine]
    if sorted(places) != list(range(len(texts))):
        raise BadLineError(
            f"its {mode} requests are of the options {shown(places)}, expected one of each of "
            f"{len(texts)}"
        )
    by_option = {state["reference_index"]: state for state in mine}
    return [_span(by_option[i], text) for i, text in enumerate(texts)]


def scores_of(
    spans: Sequence[ScoreSpan], base: Sequence[ScoreSpan] | None, shift: int
) -> list[float]:
    """HELM's score of each option."""
    if base is None:
        return [span.total(shift) / span.length(shift) for span in spans]
    return [span.total(shift) - other.total(shift) for span, other in zip(spans, base, strict=True)]


def most_likely(scores: Sequence[float]) -> tuple[int, float]:
    """The first option with the best score, and its share of the softmax."""
    best = max(scores)
    return scores.index(best), 1 / math.fsum(math.exp(score - best) for score in scores)


def _span(state: Mapping[str, Any], text: str) -> ScoreSpan:
    result = state["result"]
    if not result["success"] or len(result["completions"]) != 1:
        raise BadLineError(f"a request has no answer: {shown(result.get('error'))}")
    tokens = result["completions"][0]["tokens"]
    if not tokens:
        raise BadLineError("a request has no tokens, so no log-probabilities")
    own = _length([token["text"] for token in tokens], text)
    last = tokens[-(own + max(SHIFTS)) :]
    logprobs = [number(token["logprob"], "logprob", ROUNDING) for token in last]
    if -math.inf in logprobs:
        raise BadLineError("a token has the log-probability -Infinity")
    return ScoreSpan(logprobs, own)


def _length(tokens: Sequence[str], text: str) -> int:
    """How many of the last tokens are an option, with the space before it where that is a token.

    White space is not compared, as tokenizers show it or not. Where a token does not show what it is, it
    stands for signs up to the next one that does.
    """
    left, hidden, count = "".join(text.split()), SHOWN, 0
    for token in reversed(tokens):
        signs, own = _signs(token)
        if not left or (own == SHOWN and _covers(hidden, left) and signs[-1:] not in [*left]):
            return count + (not token.strip())
        count += 1
        for sign in reversed(signs):
            if sign == _UNSHOWN:
                hidden = max(hidden, PART)
                continue
            while left and left[-1] != sign and _covers(hidden, left[-1]):
                left = left[:-1]
            if left[-1:] != sign:
                raise BadLineError(f"a request does not end with its option {shown(text)}")
            left, hidden = left[:-1], SHOWN
        hidden = hidden if signs else max(hidden, own)
    if left and not _covers(hidden, left):
        raise BadLineError(f"a request does not end with its option {shown(text)}")
    return count


SHOWN, PART, UNKNOWN = range(3)
"""What a token's text tells: itself; not which character it is a part of; nothing."""


def _signs(token: str) -> tuple[str, int]:
    """The characters of a token but for white space, and what they tell."""
    if _SPECIAL.fullmatch(token):
        return "", UNKNOWN
    if token.startswith("bytes:"):
        return "", PART
    signs = "".join(token.split())
    return signs, PART if _UNSHOWN in signs else SHOWN


def _covers(hidden: int, signs: str) -> bool:
    """Whether tokens that do not show what they are may be these characters."""
    return hidden == UNKNOWN or (hidden == PART and not any(sign.isascii() for sign in signs))
