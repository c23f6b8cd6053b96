"""Secrets inside a text: where they stand, by their shape or by the name before them."""

from __future__ import annotations

import base64
import binascii
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

from lm_eval_calibration.redact.keys import (
    LONGEST_RANDOM,
    Grade,
    grade,
    in_address,
    is_secret,
    looks_random,
)

REDACTED = "[redacted]"


class SecretSpan(NamedTuple):
    """Characters of a text that are secret, and what kind of secret."""

    start: int
    end: int
    kind: str


NAMED, ADDRESS, HEADER, KNOWN = "named", "address", "header", "known"
KEY, PRIVATE = "key", "private key"
"""Kinds: under a telling name, in an address, a header's, seen elsewhere, of a known make, PEM."""

_SHAPES = re.compile(
    r"""(?<![A-Za-z0-9])(?:
    (?:sk|rk|pk)[-_](?=[\w-]{0,99}\d)[\w-]{12,}          # OpenAI, Anthropic, Stripe and many others
    | hf_(?=[A-Za-z]*\d|[a-z]*[A-Z]|[A-Za-z]{30})[A-Za-z0-9]{12,}
    | gh[pousr]_[A-Za-z0-9]{12,} | github_pat_\w{16,} | gl(?:pat|dt|rt|cbt)-[\w-]{12,}
    | xox[abceoprs]-[\w-]{8,} | xapp-[\w-]{12,}       # Slack
    | (?:AKIA|ASIA|AROA|AIDA|ANPA)[A-Z0-9]{12,}       # Amazon
    | AIza[\w-]{30,} | ya29\.[\w-]{12,} | GOCSPX-[\w-]{12,}
    | npm_[A-Za-z0-9]{24,} | pypi-[\w-]{24,} | dckr_pat_[\w-]{16,} | dop_v1_\w{24,}
    | (?:gsk|r8|fw|pplx|tgp|csk|nvapi|xai|lsv2)[-_](?=[\w-]{0,99}\d)[\w-]{16,}
    | dapi[a-f0-9]{24,} | SG\.[\w-]{12,99}\.[\w-]{12,}
    | eyJ[\w-]{6,600}\.[\w-]{6,8000}\.[\w-]*            # JSON web tokens
    )""",
    re.VERBOSE,
)
_PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}-----|\Z)", re.DOTALL
)
_BEARER = re.compile(r"\bbearer\s+([\w.~+/=-]{6,})", re.IGNORECASE)
_BASIC = re.compile(r"\bbasic\s+([A-Za-z0-9+/_-]{6,}={0,2})", re.IGNORECASE)
_USER = re.compile(
    r"(?<=://)(?:[^\s/?#\"'<>\\]{1,500}(?=@)"
    r"|[^\s/:@\"'<>\\]{1,200}:(?!\d{1,5}(?:[/?#]|$))[^\s@\"'<>\\]{1,300}(?=@))"
)
_USER_ALONE = re.compile(
    r"(?<![\w/:.-])[\w.+%-]{1,80}:([^\s@:/,\"'<>\\]{3,200})@(?=[A-Za-z\[][\w.:\]-]*(?:[/,;)\s'\"`]|$))"
)
_QUERY = re.compile(r"[?&;#]([A-Za-z_][\w.~-]{0,60})=([^\s&#,\"'<>\\]+)")
_HINT = re.compile(
    r"key|tok|pass|ps?w|conn|secret|auth|cred|cookie|bearer|jwt|sig|sess|sid", re.IGNORECASE
)
_NAME = r"(?<![A-Za-z0-9_])(?P<name>[A-Za-z_][\w.\-]{0,80})(?P<after>\\{0,8}[\"'])?"
_ASSIGNED = re.compile(_NAME + r"[^\S\n]{0,8}(?P<sign>=>|==?|:)[^\S\n]{0,8}(?=(?P<first>\S))")
_OPTION = re.compile(r"(?<![\w-])--(?P<name>[A-Za-z][\w-]{0,60})[^\S\n]+(?=(?P<first>[^\s-]))")
_QUOTE = re.compile(r"\\{0,8}[\"']")
_CLOSING, _LINE_END, _END = (re.compile(p) for p in (r"[\])}]", r"[\"'\\\n]", r"[\s,\"'<>`]"))
_LINE_HEADER = frozenset(["authorization", "proxy-authorization", "cookie", "set-cookie"])


def spans(text: str) -> Iterator[SecretSpan]:
    """What is secret in a text, in no order; spans may overlap."""
    for match in _SHAPES.finditer(text):
        yield SecretSpan(*match.span(), KEY)
    if "PRIVATE KEY-----" in text:
        for match in _PEM.finditer(text):
            yield SecretSpan(*match.span(), PRIVATE)
    if "@" in text:
        for match in _USER.finditer(text):
            yield SecretSpan(*match.span(), ADDRESS)
        for match in _USER_ALONE.finditer(text):
            yield SecretSpan(*match.span(1), ADDRESS)
    if not _HINT.search(text) and "=" not in text and "asic" not in text:
        return
    for match in _QUERY.finditer(text):
        if in_address(match[1]):
            yield SecretSpan(*match.span(2), ADDRESS)
    for match in _BEARER.finditer(text):
        if len(match[1]) >= 16 or re.search(r"[^A-Za-z]", match[1].rstrip(".")):
            yield SecretSpan(*match.span(1), HEADER)
    for match in _BASIC.finditer(text):
        if ":" in decoded(match[1]):
            yield SecretSpan(*match.span(1), HEADER)
    yield from _assigned(text)


def decoded(text: str) -> str:
    """What base64 stands for, if it is a text; else nothing."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _assigned(text: str) -> Iterator[SecretSpan]:
    """Values after a secret's name: `name=value`, `"name": "value"`, `--name value`."""
    for pattern in (_ASSIGNED, _OPTION):
        position = 0
        while match := pattern.search(text, position):
            position = match.end()
            found = _grade_of(text, match)
            in_query = text[match.start() - 1 : match.start()] in ("?", "&")  # (an address's)
            if found is Grade.NONE or in_query:
                continue
            start, end = _value(text, match, found)
            if end > start and is_secret(text[start:end], found):
                yield SecretSpan(start, end, NAMED)
                position = end


def _grade_of(text: str, match: re.Match[str]) -> Grade:
    """How surely what is assigned there is a secret; in prose `token: ...` may be anything."""
    name, found = match["name"], grade(match["name"])
    if found is not Grade.TEXT or match.re is _OPTION or match["after"] or _is_header(name):
        return found
    before = text[match.start() - 1 : match.start()]
    argument = match["sign"] == "=" and (before in (*",`;",) or match["first"] in "\"'([{")
    return found if argument else Grade.DOUBTFUL


def _value(text: str, match: re.Match[str], found: Grade) -> tuple[int, int]:
    """Where a value starts that is assigned there, without its quotes, and where it ends."""
    start = match.end()
    quote = _QUOTE.match(text, start)
    if quote:
        return quote.end(), _closing(text, quote.end(), quote[0])
    if text[start] in "[({" and not text.startswith(REDACTED, start):
        return start, _first(_CLOSING, text, start, start + 2000) + 1
    limit = sys.maxsize if found > Grade.DOUBTFUL else start + LONGEST_RANDOM
    named = match.re is _ASSIGNED and match["sign"] == ":"
    whole_line = named and _fills_line(text, match["name"], match.start())
    stop = _first(_LINE_END if whole_line else _END, text, start, limit)
    while stop > start and text[stop - 1] in ".;:)]}\r" and not text.startswith(REDACTED, start):
        stop -= 1
    return start, stop


def _is_header(name: str) -> bool:
    return name.lower() in _LINE_HEADER


def _fills_line(text: str, name: str, begin: int) -> bool:
    """Whether a value goes on to the end of its line: a header's, or one of a list of settings."""
    if _is_header(name):
        return True
    near = text[max(0, begin - 40) : begin]
    line = near.rfind("\n") + 1
    begins = line > 0 or begin <= 40
    return begins and not near[line:].strip(" \t-#>*|") and grade(name) is Grade.ANY


def _first(pattern: re.Pattern[str], text: str, start: int, limit: int = sys.maxsize) -> int:
    """Where a pattern first matches; the text's end, or the limit, if it does not."""
    found = pattern.search(text, start, limit)
    return found.start() if found else min(len(text), limit)


def _closing(text: str, start: int, quote: str) -> int:
    """Where a quoted text ends; at the text's end if it was cut off."""
    if len(quote) > 1:  # quotes in a text that stands in quotes itself
        end = text.find(quote, start)
        return len(text) if end < 0 else end
    inside = re.compile(rf"[^{quote}\\]*(?:\\.[^{quote}\\]*)*", re.DOTALL).match(text, start)
    return inside.end() if inside else start


def parts(secret: str) -> set[str]:
    """A secret, and those that it is made of: a password of `user:password`, a header's token."""
    found = {secret, secret.strip()}
    scheme = re.fullmatch(r"\s*(?:bearer|basic|token|apikey|key)\s+(\S+)\s*", secret, re.IGNORECASE)
    if scheme:
        found |= {scheme[1], decoded(scheme[1])}
    found.add(decoded(secret) if ":" in decoded(secret) else "")
    for each in list(found):
        _, colon, rest = each.partition(":")
        if colon and not rest.startswith("//") and not re.search(r"\s", each):
            found.add(rest)
        if re.match(r"[\w-]+=[^;]*(;|$)", each):  # cookies
            found |= {piece.partition("=")[2].strip() for piece in each.split(";")}
    return found


def distinctive(secret: str) -> bool:
    """Whether a secret is one that stands nowhere by chance, so that it may be looked for."""
    if secret in REDACTED or len(secret) < 6:
        return False
    letters = sum(c.isalpha() for c in secret)
    if letters == 0:
        return len(secret) >= 8 and any(c.isdigit() for c in secret)
    mixed = letters < len(secret) or not (secret.islower() or secret.istitle() or secret.isupper())
    words = re.fullmatch(r"[A-Za-z]+(?:[ _.-][A-Za-z]+)*", secret)
    return looks_random(secret) or (mixed and not words) or len(secret) >= 16
