"""One sample of inspect_ai, taken apart: its options, the right one, the verdict, and the belief."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from lm_eval_calibration.logs.formats.harness.bad import (
    BadLineError,
    OtherTypeError,
    malformed_is_bad,
    shown,
)
from lm_eval_calibration.logs.formats.inspect_ai.answer import (
    MOST_OPTIONS,
    NO_CONFIDENCE,
    asked,
)
from lm_eval_calibration.logs.gathered import LoggedBelief, document_number

_SHUFFLED = "Choices were shuffled before generating a response"
_SENT, _ANSWERED = "was sent to the model:\n\n", "\nShuffled answer:\n"
_VERDICTS = {"C": True, "I": False, "N": False}
_CHOICE = "choice"
"""The scorer of inspect_ai's own multiple choice."""


class FailedSample(NamedTuple):
    """A sample that the run itself left out, as it ended in an error."""


class ReadSample(NamedTuple):
    """A sample with a belief; `outside` is the probability of what names none of its options."""

    belief: LoggedBelief
    outside: float
    unlikely: bool


@malformed_is_bad
def read(sample: Mapping[str, Any], start: int) -> ReadSample | FailedSample:
    """What a sample says.

    Args:
        sample: a member of `samples/`, or an item of `samples`.
        start: the byte at which it begins.

    Raises:
        OtherTypeError: it has no options, or no log-probabilities.
        BadLineError: it cannot be read, contradicts its own score, or gives no letter.
    """
    if sample.get("error") and not sample.get("scores"):
        return FailedSample()
    options = options_of(sample)
    gold = _gold(sample, len(options))
    content = _content(sample)
    own = asked(content, len(options))
    order = _order(sample, options)
    logits = [-math.inf] * len(options)
    for letter, logit in enumerate(own.logits):
        logits[order[letter]] = logit
    answer = order[own.letter]
    _check(sample, answer == gold)
    document = document_number(sample.get("id"), sample.get("input"), options, gold)
    belief = LoggedBelief(logits, (gold,), answer, document, start)
    return ReadSample(belief, own.outside, own.logits[own.letter] < max(own.logits))


def options_of(sample: Mapping[str, Any]) -> list[str]:
    """The options of a sample.

    Raises:
        OtherTypeError: it has none.
    """
    options = sample.get("choices")
    if not options:
        raise OtherTypeError(
            "its samples have no options (`choices`): answers without a confidence"
        )
    if not isinstance(options, list) or not all(isinstance(each, str) for each in options):
        raise BadLineError(f"`choices` must be a list of texts, got {shown(options)}")
    if not 2 <= len(options) <= MOST_OPTIONS:
        raise BadLineError(f"`choices` must have 2 to {MOST_OPTIONS} options, got {len(options)}")
    return options


def _gold(sample: Mapping[str, Any], count: int) -> int:
    target = sample["target"]
    texts = target if isinstance(target, list) else [target]
    letters = "".join(str(text) for text in texts).replace(",", "").replace(" ", "").upper()
    if len(letters) != 1 or not 0 <= ord(letters) - ord("A") < count:
        raise BadLineError(f"`target` must be the letter of one option, got {shown(target)}")
    return ord(letters) - ord("A")


def _content(sample: Mapping[str, Any]) -> Any:
    """The answer token by token, with log-probabilities."""
    choices = sample["output"]["choices"]
    if not choices:
        raise BadLineError("`output` holds no answer, so no belief")
    logprobs = choices[0].get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not content:
        raise OtherTypeError(NO_CONFIDENCE)
    return content


def _order(sample: Mapping[str, Any], options: list[str]) -> list[int]:
    """Which option each letter that the model saw stood for; the log tells only the scorer's side."""
    text = str(_score(sample).get("explanation") or "")
    if not text.startswith(_SHUFFLED):
        return list(range(len(options)))
    listed = text[text.index(_SENT) + len(_SENT) : text.rindex(_ANSWERED)] + "\n"
    order: list[int] = []
    for letter in range(len(options)):
        mark = f"{chr(ord('A') + letter)}) "
        fitting = [
            i
            for i, option in enumerate(options)
            if i not in order and listed.startswith(f"{mark}{option}\n")
        ]
        if not fitting:
            raise BadLineError(f"its options were shuffled, and not told how: {shown(listed)}")
        order.append(max(fitting, key=lambda i: len(options[i])))
        listed = listed[len(mark) + len(options[order[-1]]) + 1 :]
    return order


def _score(sample: Mapping[str, Any]) -> Mapping[str, Any]:
    """The score of `choice`, or the first one."""
    scores = sample.get("scores")
    if not isinstance(scores, Mapping):
        return {}
    found = scores.get(_CHOICE, next(iter(scores.values()), None))
    return found if isinstance(found, Mapping) else {}


def _check(sample: Mapping[str, Any], right: bool) -> None:
    """Hold what was read against the run's own verdict, where it has one."""
    value = _score(sample).get("value")
    verdict = _VERDICTS.get(value) if isinstance(value, str) else None
    if isinstance(value, (bool, int, float)) and value in (0, 1):
        verdict = bool(value)
    if verdict is not None and verdict != right:
        says = "right" if right else "wrong"
        raise BadLineError(f"its score is {shown(value)}, but the letter that it gave is {says}")
