"""Secrets that are known by now, wherever else they stand, as they are or spelt otherwise."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from html import escape
from urllib.parse import quote, quote_plus, unquote

from lm_eval_calibration.redact.texts import KNOWN, SecretSpan, distinctive, parts

_SURE = 16
"""So long a secret is no part of another word by chance."""


class Known:
    """A set of secrets, to be looked for.

    Args:
        secrets: texts; those that may stand somewhere by chance are left out.
    """

    def __init__(self, secrets: frozenset[str] = frozenset()) -> None:
        self.secrets = frozenset(part for s in secrets for part in parts(s) if distinctive(part))
        spelt = sorted({v for s in self.secrets for v in _spellings(s)}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(_bounded, spelt))) if spelt else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def spans(self, text: str) -> Iterator[SecretSpan]:
        """Where they stand in a text."""
        for match in self._pattern.finditer(text) if self._pattern else ():
            yield SecretSpan(*match.span(), KNOWN)

    def stands_in(self, line: bytes) -> bool:
        """Whether one of them may stand in a line of JSON (a quick answer, for long files)."""
        return self._bytes is not None and self._bytes.search(line) is not None

    @functools.cached_property
    def _bytes(self) -> re.Pattern[bytes] | None:
        spelt = {
            json.dumps(v, ensure_ascii=plain)[1:-1]
            for s in self.secrets
            for v in _spellings(s)
            for plain in (True, False)
        }
        whole = [re.escape(v.encode("utf-8", "surrogatepass")) for v in spelt]
        return re.compile(b"|".join(whole)) if whole else None


def _spellings(secret: str) -> set[str]:
    """A secret as it is, in addresses, in JSON, in HTML and as Python shows it."""
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    safe = secret.encode("utf-8", "replace").decode()
    in_addresses = {quote(safe, safe=""), quote(safe), quote_plus(safe), unquote(secret)}
    found = {secret, *escaped, *in_addresses, escape(secret), repr(secret)[1:-1]}
    return {spelling for spelling in found if distinctive(spelling)}


def _bounded(spelling: str) -> str:
    if len(spelling) >= _SURE:
        return re.escape(spelling)
    before = r"(?:(?<![A-Za-z0-9])|(?<=%[0-9A-Fa-f]{2}))"
    digits = r"(?<![.\d])" if spelling.isdigit() else ""
    return f"{before}{digits}{re.escape(spelling)}(?![A-Za-z0-9])"
