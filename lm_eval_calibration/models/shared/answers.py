"""What a base may answer to each kind of request, and what is made of anything else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.api import rolling_answer, rolling_value
from lm_eval_calibration.harness.requests import GENERATE, ROLLING
from lm_eval_calibration.models.shared.reply import Failed, Reply

ROUNDING = 1e-3
"""So far above 0 a log-probability may be: sums of rounded numbers."""


class UnusableError(Exception):
    """Why something is no answer to a request."""


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
    if isinstance(content, Reply):
        return content.saying(text_of(str(content)))
    if isinstance(content, dict) and (kept := Reply.of_kept(content)) is not None:
        return text_of(kept)
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
    return answer.as_kept() if isinstance(answer, Reply) else answer


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
