"""What a base may answer to each kind of request, and what is made of anything else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.api import rolling_answer, rolling_value
from lm_eval_calibration.harness.requests import GENERATE, ROLLING
from lm_eval_calibration.verbal.thinking import spoken

ROUNDING = 1e-3
"""So far above 0 a log-probability may be: sums of rounded numbers."""


CUT_KEYS = {"cut", "thinking"}


class UnusableError(Exception):
    """Why something is no answer to a request."""


class Failed(str):
    """No answer: the base gave up on a request, and `reason` says why.

    An empty text for whoever reads answers.
    """

    reason: str

    def __new__(cls, reason: str) -> Failed:
        """An empty text with a reason."""
        found = super().__new__(cls, "")
        found.reason = reason
        return found


class Cut(str):
    """A reply that ended because its room was used up.

    Attributes:
        thinking: whether the server says that the model was thinking.
    """

    thinking: bool

    def __new__(cls, text: str, thinking: bool = False) -> Cut:
        """The text as far as it goes."""
        found = super().__new__(cls, text)
        found.thinking = thinking
        return found


class Said(str):
    """What a reply says, without the thinking before it.

    Attributes:
        raw: the whole reply.
        cut: whether it ended because its room was used up.
        thinking: whether it was thinking when it ended.
    """

    raw: str
    cut: bool
    thinking: bool

    def __new__(cls, reply: str, opened: bool = False) -> Said:
        """Of a reply as it came.

        Args:
            reply: `Cut`, or whole.
            opened: whether its prompt ended within a block of thinking.
        """
        told = spoken(str(reply), opened)
        found = super().__new__(cls, told.text)
        found.raw, found.cut = str(reply), isinstance(reply, Cut)
        found.thinking = told.unfinished or bool(getattr(reply, "thinking", False))
        return found

    def __getnewargs__(self) -> tuple[str]:
        return (self.raw,)


def raw(reply: str) -> str:
    """The whole reply, thinking and all."""
    return reply.raw if isinstance(reply, Said) else str(reply)


def whole(reply: str) -> str:
    """What a reply says, without the word in which it was cut."""
    cut = isinstance(reply, Said) and reply.cut
    return re.sub(r"\S+\Z", "", reply) if cut else str(reply)


class Unscored(tuple[float, bool]):
    """No log-likelihood: the server's reply does not fit the request, and `reason` says how.

    NaN for whoever reads answers.
    """

    reason: str

    def __new__(cls, reason: str) -> Unscored:
        """NaN with a reason."""
        found = super().__new__(cls, (math.nan, False))
        found.reason = reason
        return found


def checked(kind: str, answer: Any) -> Any:
    """An answer to a request of a kind.

    Args:
        kind: of request.
        answer: as the base, or a cache, has it.

    Returns:
        A text, a pair of a log-likelihood and a truth value, or what the harness calls an answer to a rolling
        request.

    Raises:
        UnusableError: it is of another kind, or a number that cannot be.
    """
    if kind == GENERATE:
        return text_of(answer)
    if kind == ROLLING:
        return rolling_answer(log_probability(rolling_value(answer)))
    if isinstance(answer, Unscored):
        raise UnusableError(answer.reason)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise UnusableError(f"{shown(answer)} for a log-likelihood")
    value, greedy = answer
    if isinstance(greedy, (str, bytes)) or greedy not in (0, 1):
        raise UnusableError(f"{shown(greedy)} for whether a continuation is the likeliest")
    return log_probability(value), bool(greedy)


def log_probability(value: Any) -> float:
    """A number that is -inf, or finite and not above 0.

    Raises:
        UnusableError: it is none.
    """
    if isinstance(value, (str, bytes, bool)) or not hasattr(value, "__float__"):
        raise UnusableError(f"{shown(value)} for a log-probability")
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):  # (a whole number of 400 digits, an array)
        raise UnusableError(f"{shown(value)} for a log-probability") from None
    if math.isnan(number) or number > ROUNDING:
        raise UnusableError(f"{number} for a log-probability")
    return number


def text_of(content: Any) -> str:
    """The text that a reply is: a text, or a list of parts that are texts.

    Halves of a surrogate pair, which no file could hold, become U+FFFD.

    Raises:
        UnusableError: there is none.

    >>> text_of([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}])
    '42'
    """
    if isinstance(content, Failed):
        raise UnusableError(content.reason)
    if isinstance(content, Cut):
        return Cut(text_of(str(content)), content.thinking)
    if isinstance(content, dict) and content.keys() == CUT_KEYS:  # (as it is kept)
        return Cut(text_of(content["cut"]), bool(content["thinking"]))
    if isinstance(content, list) and content:
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if all(isinstance(part, str) for part in parts):
            content = "".join(map(str, parts))
    if not isinstance(content, str):
        raise UnusableError(f"{shown(content)} for a text")
    try:
        content.encode()
    except UnicodeEncodeError:
        return content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return str(content)


def as_kept(answer: Any) -> Any:
    """An answer as JSON, from which `checked` makes it again."""
    if isinstance(answer, Cut):
        return {"cut": str(answer), "thinking": answer.thinking}
    return answer


def shown(value: Any) -> str:
    """A value in few words.

    >>> shown([None] * 3), shown("ab"), shown(None)
    ('a list of 3', "'ab'", 'nothing')
    """
    if value is None:
        return "nothing"
    if isinstance(value, (list, tuple, dict)):
        return f"a {type(value).__name__} of {len(value)}"
    return repr(value)[:40] if isinstance(value, (str, bool, int, float)) else type(value).__name__


def unanswered(request: Any, why: str) -> InvalidInputError:
    """The error for a request to which there is no answer: its document, and what came."""
    task = f"Task `{request.task_name}`, d" if request.task_name else "D"
    return InvalidInputError(
        f"{task}ocument {request.doc_id}: the base answered {why}. It was not kept; the answers to "
        "other requests are, with --use_cache. Ask the server again, or see what it says."
    )


def sure(kind: str, requests: Sequence[Any], answers: Sequence[Any]) -> list[Any]:
    """Answers to requests that are passed on as they are.

    Raises:
        InvalidInputError: not one for each, or one that is none; the message names its document.
    """
    if len(answers) != len(requests):
        raise InvalidInputError(
            f"The base gave {len(answers):,} answers to {len(requests):,} requests."
        )
    for request, answer in zip(requests, answers, strict=True):
        try:
            checked(kind, answer)
        except UnusableError as error:
            if kind != GENERATE:
                raise unanswered(request, str(error)) from None
    return list(answers)
