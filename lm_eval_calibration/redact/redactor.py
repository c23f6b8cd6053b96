"""What takes the secrets out of one value after the other, and counts them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from lm_eval_calibration.redact.keys import (
    HEADERS,
    Grade,
    grade,
    holds_headers,
    is_secret,
)
from lm_eval_calibration.redact.known import Known
from lm_eval_calibration.redact.texts import NAMED, REDACTED, SecretSpan, spans

_ARGUMENT = re.compile(r"\s*([A-Za-z_][\w.\-]{0,80})=(.*)", re.DOTALL)
_PASSES = 8
_SHORTEST = 5
_DEPTH = 4
"""JSON in a text in JSON in a text ...: as deep as anybody goes."""


@dataclass(frozen=True)
class SecretPlace:
    """Where in a document a value stands, as far as that tells whether it is secret.

    Attributes:
        grade: how surely the names above it speak of a secret.
        headers: whether it is the headers of a request.
        data: whether it is somebody's text, in which only known secrets are secret.
    """

    grade: Grade = Grade.NONE
    headers: bool = False
    data: bool = False

    def under(self, name: str) -> SecretPlace:
        """The place of what stands in this one under a name."""
        if self.data or self.grade >= Grade.TEXT:
            return self
        if self.headers and name.lower() not in HEADERS:
            return replace(self, grade=Grade.ANY, headers=False)
        return SecretPlace(grade(name), holds_headers(name))


class Redactor:
    """Takes secrets out of values.

    Args:
        known: secrets that were seen elsewhere.

    Attributes:
        found: how many were taken out, by kind.
        seen: what was taken out.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = Known(frozenset(known))
        self.found: Counter[str] = Counter()
        self.seen: set[str] = set()

    def leaf(self, value: Any, place: SecretPlace, depth: int = 0) -> Any:
        """A text or number without its secrets; anything else as it is."""
        if not place.data and place.grade and is_secret(value, place.grade):
            if value != REDACTED:
                self._take(str(value), NAMED)
            return REDACTED
        return self.text(value, place.data, depth) if isinstance(value, str) else value

    def text(self, text: str, data: bool = False, depth: int = 0) -> str:
        """A text without its secrets.

        Args:
            text: whatever it is: prose, an address, model arguments, JSON.
            data: look for known secrets alone.
            depth: of texts in texts.
        """
        for _ in range(_PASSES if len(text) >= _SHORTEST else 0):
            before, text = text, self._once(text, data, depth)
            if text == before:
                break
        return text

    def _once(self, text: str, data: bool, depth: int) -> str:
        found = list(self._known.spans(text))
        if not data:
            inner = self._json(text, depth)
            if inner is not None:
                return inner
            found += [*_arguments(text), *spans(text)]
        return self._without(text, found) if found else text

    def _json(self, text: str, depth: int) -> str | None:
        if depth >= _DEPTH or text.lstrip()[:1] not in ("{", "["):
            return None
        from lm_eval_calibration.redact.json_spans import NotJSON, without_secrets

        try:
            return without_secrets(text, self, depth=depth + 1)
        except NotJSON:
            return None

    def _without(self, text: str, found: list[SecretSpan]) -> str:
        pieces, end = [], 0
        for span in _merged(found):
            secret = text[span.start : span.end]
            if secret != REDACTED:
                self._take(secret, span.kind)
            pieces += [text[end : span.start], REDACTED]
            end = span.end
        return "".join([*pieces, text[end:]])

    def _take(self, secret: str, kind: str) -> None:
        self.found[kind] += 1
        self.seen.add(secret)


def _merged(found: list[SecretSpan]) -> list[SecretSpan]:
    """Spans in order; those that overlap or touch are one."""
    merged: list[SecretSpan] = []
    for span in sorted(found):
        if merged and span.start <= merged[-1].end:
            last = merged[-1]
            merged[-1] = last._replace(end=max(last.end, span.end))
        else:
            merged.append(span)
    return merged


def _arguments(text: str) -> list[SecretSpan]:
    """Secrets of a text that is model arguments, `name=value,name=value`, as the harness parts them."""
    if "\n" in text.strip() or not _ARGUMENT.match(text[:200]):
        return []
    found, start, current = [], 0, Grade.NONE
    for part in text.split(","):
        match = _ARGUMENT.fullmatch(part)
        if match:
            current = grade(match[1])
        begin = start + (match.start(2) if match else 0)
        end = start + len(part)
        if end > begin and current and is_secret(text[begin:end], current):
            found.append(SecretSpan(begin, end, NAMED))
        start = end + 1
    return found
