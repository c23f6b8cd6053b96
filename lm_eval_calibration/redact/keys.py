"""Whether a field's name says that what it holds is secret."""

from __future__ import annotations

import functools
import re
from enum import IntEnum
from itertools import pairwise
from typing import Any

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLURAL = {
    "keys": "key", "tokens": "token", "secrets": "secret", "passwords": "password",
    "credentials": "credential", "cookies": "cookie", "signatures": "signature",
}  # fmt: skip
_ALONE = _words(
    "apikey accesskey secretkey privatekey authkey authtoken accesstoken apitoken hftoken "
    "sessiontoken refreshtoken idtoken bearertoken usertoken password passwd passwort pwd "
    "passphrase passcode passkey authorization bearer jwt oauth credential creds cred "
    "sessionid pw pswd passw psw"
)
_AMBIGUOUS = _words("token secret auth authentication cookie")
"""Words that stand for secrets as a whole name, and in prose for much else."""
_DOUBTFUL = _words("key pass session sid sig signature tokens sas")
_OF_KEYS = _words(
    "api access private secret ssh signing encryption account subscription auth hmac shared master "
    "service storage openai anthropic azure google gemini mistral groq cohere deepseek together "
    "openrouter hf huggingface wandb aws gcp app application client server user my x rsa pgp"
)
_OF_TOKENS = _words(
    "access auth authentication authorization api bearer hf hub huggingface face hugging github gh "
    "gitlab openai anthropic session refresh user wandb secret personal private pat oauth "
    "aws azure ad google gcp slack bot csrf xsrf jwt sas security service account deploy pypi npm "
    "replicate together client server read write my x identity login web webhook"
)
_OF_TEXTS = _words(
    "eos bos pad unk sep cls mask image audio video stop start end begin first last next prev new "
    "special prefix suffix think thinking decoder forced max min num per budget answer question "
    "vocab text split fim eot eod sot turn role content separator placeholder boi eoi target "
    "target dummy added control chat tool ignore filler blank padding"
)
_PUBLIC = _words(
    "public primary foreign sort cache doc hash dedup partition answer question gold label target "
    "text group row column index join map order shift hot foreign dict"
)
_TAIL = _words("value string plain text id hash pem hex json old new prod dev default")
_OF_MAKERS = _words(
    "openai anthropic azure google gemini mistral groq cohere deepseek together openrouter hf "
    "huggingface wandb aws gcp github gitlab slack replicate"
)
_COUNTS = _words("num n max min count total per")
_OF_PASS = _words("db user smtp admin root mysql pg redis email proxy login http ftp")


class Grade(IntEnum):
    """How surely a name speaks of a secret."""

    NONE = 0
    DOUBTFUL = 1  # what looks like a credential is one
    TEXT = 2  # any text, and numbers that are long
    ANY = 3  # whatever it is


@functools.lru_cache(4096)
def grade(name: str) -> Grade:
    """How surely the field of that name holds a secret.

    >>> [grade(name).name for name in ("OPENAI_API_KEY", "token", "key", "max_gen_toks")]
    ['ANY', 'TEXT', 'DOUBTFUL', 'NONE']
    >>> grade("eos_token").name, grade("hf_token").name, grade("x-api-key").name
    ('NONE', 'ANY', 'ANY')
    """
    if name == "PWD":  # where a shell stands
        return Grade.NONE
    words = [word.lower() for word in _WORD.findall(name[-200:])]
    if words and _PLURAL.get(words[-1]):
        if words == ["tokens"]:
            return Grade.DOUBTFUL
        words[-1] = _PLURAL[words[-1]]
    while len(words) > 2 and words[-1] in _TAIL:
        words.pop()
    first = _PLURAL.get(words[0], words[0]) if words else ""
    if len(words) == 2 and words[-1] in _TAIL and first in _ALONE | {"secret", "session"}:
        words = [first]
    while len(words) > 1 and words[-1] in _OF_MAKERS:
        words.pop()
    return _of_words(words) if words else Grade.NONE


def _of_words(words: list[str]) -> Grade:
    last, before = words[-1], set(words[:-1])
    if last in _ALONE or (last in ("string", "str") and before & {"connection", "conn"}):
        return Grade.ANY
    if (last == "word" and before & {"pass"}) or (
        last == "tok" and before and before <= _OF_TOKENS
    ):
        return Grade.ANY
    if not before:
        ambiguous = Grade.TEXT if last in _AMBIGUOUS else Grade.NONE
        return Grade.DOUBTFUL if last in _DOUBTFUL else ambiguous
    if before & _COUNTS:
        return Grade.NONE
    if last == "token":
        known = Grade.ANY if before <= _OF_TOKENS else Grade.DOUBTFUL
        return Grade.NONE if before & _OF_TEXTS else known
    if last == "key":
        known = Grade.ANY if before & _OF_KEYS else Grade.DOUBTFUL
        return Grade.NONE if before & _PUBLIC else known
    if last in ("signature", "sig"):
        return Grade.ANY if before & {"x", "amz", "goog"} else Grade.DOUBTFUL
    known_pass = last == "pass" and bool(before & _OF_PASS)
    return Grade.ANY if last in _AMBIGUOUS or known_pass else Grade.NONE


def in_address(name: str) -> bool:
    """Whether a parameter of an address (`?key=...`) is secret: short names are, there."""
    found = grade(name)
    return found > Grade.DOUBTFUL or name.lower() in (
        *_DOUBTFUL, "code", "x-amz-credential", "x-goog-credential", "awsaccesskeyid",
    )  # fmt: skip


HEADERS = _words(
    "accept accept-charset accept-encoding accept-language cache-control connection content-length "
    "content-type date expect host origin pragma referer transfer-encoding user-agent via "
    "openai-beta anthropic-version anthropic-beta http-referer x-title"
)
"""Of a request, that tell nobody's secrets; all others may."""


def holds_headers(name: str) -> bool:
    """Whether a field's mapping is the headers of a request."""
    words = _WORD.findall(name[-40:])
    return bool(words) and words[-1].lower() in ("header", "headers")


INNOCENT = re.compile(r"\s*(?:|none|null|nil|true|false|yes|no|empty|\$\{?[a-z_]\w*\}?)\s*", re.I)
"""Values that are no secret whatever they stand under: nothing, and names of variables."""
_PATHLIKE = re.compile(r"(?:\.{0,2}/|~|[A-Za-z]:\\|\w+://)")
LARGE, LONGEST_RANDOM = 100_000, 600


def looks_random(text: str) -> bool:
    """Whether a text looks like a credential: long, of one piece, letters and digits in disorder.

    >>> looks_random("9f86d081884c7d65"), looks_random("a question"), looks_random("arc_easy_2024")
    (True, False, False)
    """
    if (
        not 12 <= len(text) < LONGEST_RANDOM
        or _PATHLIKE.match(text)
        or re.search(r"[\s<>|{}()]", text)
    ):
        return False
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" for c in text if c.isalnum()]
    changes = sum(a != b for a, b in pairwise(kinds))
    return "d" in kinds and changes >= 0.3 * len(kinds)


def is_secret(value: Any, found: Grade) -> bool:
    """Whether a text or number under a name of that grade is a secret."""
    if isinstance(value, str):
        if found is Grade.DOUBTFUL:
            return looks_random(value)
        return found > Grade.DOUBTFUL and not INNOCENT.fullmatch(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    whole = isinstance(value, int) and abs(value) >= LARGE
    return found is Grade.ANY or (found is Grade.TEXT and whole)
