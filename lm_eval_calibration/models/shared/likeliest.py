"""The likeliest tokens in each place of a reply, as OpenAI-compatible servers write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.metrics.token_scores import of_distribution
from lm_eval_calibration.models.shared.answers import UnusableError, log_probability, shown
from lm_eval_calibration.verbal.letters import Token

ASKED = "logprobs"
"""Among the settings of a generation request: the likeliest tokens are wanted too."""
MOST_TOKENS = 20
"""In a place: what OpenAI gives at most, and other servers by default."""
FIRST = 16
"""Tokens of a reply in whose places they are kept; further on where a letter was said."""
_LETTER = re.compile(r"[\W_]*[^\W\d_][\W_]*")


def likeliest(choice: Mapping[str, Any]) -> tuple[Token, ...]:
    """The tokens of a choice, with the likeliest in their places; () where the server gave none.

    Raises:
        UnusableError: something else, or a log-probability that is none.
    """
    given = choice.get(ASKED)
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise UnusableError(f"{shown(given)} for log-probabilities")
    if isinstance(given.get("content"), list):
        places = [_of_chat(each) for each in given["content"]]
    elif isinstance(given.get("tokens"), list):
        places = _of_completions(given)
    elif given.get("content") is None:
        return ()
    else:
        raise UnusableError(f"{shown(given.get('content'))} for log-probabilities")
    return tuple(
        Token(text, tuple(top) if i < FIRST or _LETTER.fullmatch(text) else (), _scores(own, top))
        for i, (text, top, own) in enumerate(places)
    )


Place = tuple[str, list[tuple[str, float]], float | None]
"""A token, the likeliest in its place, and its own log-probability."""
ALIKE = 1e-6
"""Nats: one of the likeliest that is so near is the token itself, spelled otherwise."""


def _of_chat(place: Any) -> Place:
    if not isinstance(place, Mapping) or not isinstance(place.get("token"), str):
        raise UnusableError(f"{shown(place)} for a token")
    listed = place.get("top_logprobs")
    top = listed if isinstance(listed, list) else []
    if not all(isinstance(each, Mapping) and isinstance(each.get("token"), str) for each in top):
        raise UnusableError(f"{shown(listed)} for the likeliest tokens")
    pairs = [(each["token"], each.get("logprob")) for each in top]
    return _place(place["token"], place.get("logprob"), pairs)


def _of_completions(given: Mapping[str, Any]) -> list[Place]:
    tokens, values, tops = (given.get(n) for n in ("tokens", "token_logprobs", "top_logprobs"))
    count = len(tokens) if isinstance(tokens, list) else 0
    columns = [each if isinstance(each, list) else [None] * count for each in (values, tops)]
    if any(len(column) != count for column in columns):
        raise UnusableError(f"{[len(c) for c in columns]} log-probabilities for {count} tokens")
    return [
        _place(str(token), value, list(top.items()) if isinstance(top, Mapping) else [])
        for token, value, top in zip(tokens or (), *columns, strict=True)
    ]


def _scores(own: float | None, top: Sequence[tuple[str, float]]) -> tuple[float, ...]:
    if own is None or not np.isfinite(own):
        return ()
    return own, *of_distribution(np.exp([min(value, 0.0) for _, value in top]))


def _place(text: str, value: Any, top: Sequence[tuple[str, Any]]) -> Place:
    """A token among the likeliest; it may have been drawn without being one of them."""
    found = [(token, log_probability(p)) for token, p in top if p is not None]
    if value is None:
        return text, found, next((p for token, p in found if token == text), None)
    own = log_probability(value)
    if not any(token == text or abs(p - own) < ALIKE for token, p in found):
        found.append((text, own))
    return text, found, own
