"""Questions with named options as decision models take them, and what their answers say: two forms of the wire.

`/v1/systemone` as typesafe-sdk 0.7.5 has it, and OpenAI's `/v1/decisions` as openai-python 3.57 has it.
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from lm_eval_calibration.errors import invalid

QUESTION = "answer"
"""The name under which the one question of a request is asked."""
CHOICE, YES_NO = "choice", "yes_no"
SLACK = 0.05
"""By so much probabilities that are rounded may miss 1."""


class Decision(NamedTuple):
    """An answer.

    Attributes:
        probabilities: of the options, in the order in which they were given; `None` where they cannot be read.
        notes: what was repaired, or why nothing could be read.
        label_mass: on all options, where the server tells.
    """

    probabilities: tuple[float, ...] | None
    notes: tuple[str, ...] = ()
    label_mass: float | None = None


class Form:
    """`/v1/systemone`: questions by their names.

    Attributes:
        route: at which a server has it.
        home: the address of who made it.
        key: the environment's variable of a key.
    """

    route, home, key = "/v1/systemone", "https://api.typesafe.ai", "TYPESAFE_API_KEY"

    def address(self, url: str) -> str:
        """With the route.

        >>> Form().address("localhost:8000/"), Form().address("http://a/x/v1/systemone")
        ('http://localhost:8000/v1/systemone', 'http://a/x/v1/systemone')
        """
        plain = url.rstrip("/") if "://" in url else f"http://{url}".rstrip("/")
        last = self.route.rpartition("/")[2]
        if plain.endswith(f"/{last}"):
            return plain
        return plain + (f"/{last}" if plain.endswith("/v1") else self.route)

    def payload(self, model: str, state: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """A request.

        Args:
            model: its name.
            state: what is asked about.
            question: `type`, `instructions`, and of a choice `options`: names with descriptions or `None`.
        """
        asked: dict[str, Any] = {"instructions": question["instructions"]}
        if question["type"] == YES_NO:
            asked = {"type": "noul", **asked}
        else:
            asked = {"type": "choice", **asked, "criteria": dict(question["options"])}
        return {"model": model, "state": state, "questions": {QUESTION: asked}}

    def read(self, reply: Any, question: Mapping[str, Any]) -> Decision:
        """What a reply says."""
        answers = reply.get("answers") if isinstance(reply, Mapping) else None
        answer = answers.get(QUESTION) if isinstance(answers, Mapping) else None
        if not isinstance(answer, Mapping):
            return Decision(None, ("the reply holds no answer",))
        mass = _label_mass(reply, answer)
        if answer.get("type") == "refusal":
            return Decision(None, ("it refused to answer",))
        if question["type"] == YES_NO:
            return _yes_no(answer.get("noul"), mass)
        return _chosen(answer.get("probabilities"), [n for n, _ in question["options"]], mass)


class OpenAIForm(Form):
    """OpenAI's `/v1/decisions`: questions and answers are lists."""

    route, home, key = "/v1/decisions", "https://api.openai.com", "OPENAI_API_KEY"

    def payload(self, model: str, state: str, question: Mapping[str, Any]) -> dict[str, Any]:
        """A request, likewise."""
        asked: dict[str, Any] = {"name": QUESTION, "instructions": question["instructions"]}
        if question["type"] == YES_NO:
            asked = {"type": "predicate", **asked}
        else:
            choices = [
                {"value": name, **({} if text is None else {"description": text})}
                for name, text in question["options"]
            ]
            asked = {"type": "choice", **asked, "choices": choices}
        return {"model": model, "input": state, "questions": [asked]}

    def read(self, reply: Any, question: Mapping[str, Any]) -> Decision:
        """What a reply says, likewise."""
        answers = reply.get("answers") if isinstance(reply, Mapping) else None
        known = (
            [a for a in answers or () if isinstance(a, Mapping)]
            if isinstance(answers, list)
            else []
        )
        named = [a for a in known if a.get("name") == QUESTION] or known[:1]
        if not named:
            return Decision(None, ("the reply holds no answer",))
        answer = named[0]
        if answer.get("type") == "refusal":
            return Decision(None, ("it refused to answer",))
        if question["type"] == YES_NO:
            return _yes_no(answer.get("probability"), None)
        listed = answer.get("probabilities")
        pairs = (
            [each for each in listed if isinstance(each, Mapping)]
            if isinstance(listed, list)
            else []
        )
        found = {str(each.get("value")): each.get("probability") for each in pairs}
        return _chosen(found, [name for name, _ in question["options"]], None)


FORMS: dict[str, type[Form]] = {"systemone": Form, "decisions": OpenAIForm}


def form_of(name: str, url: str) -> Form:
    """A form by its name, or by the address of a server.

    Raises:
        InvalidInputError: there is none of the name.
    """
    if name and name not in FORMS:
        raise invalid("api", " or ".join(FORMS), f"`{name}`")
    told = name or ("decisions" if url.rstrip("/").endswith("/decisions") else "systemone")
    return FORMS[told]()


def failure(status: int, text: str) -> str:
    """What a server says of a request that failed, in a line.

    >>> failure(422, '{"detail": [{"loc": ["body", "state"], "msg": "Field required"}]}')
    '422 (body.state: Field required)'
    >>> failure(400, '{"detail": {"error_type": "x", "message": "Unknown model: m"}}'), failure(500, "")
    ('400 (Unknown model: m)', '500')
    """
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    words = " ".join(_words(said).split())[:300]
    return f"{status} ({words})" if words else str(status)


def _words(said: Any) -> str:
    if isinstance(said, Mapping):
        for key in ("detail", "error", "message", "msg"):
            if said.get(key):
                where = ".".join(map(str, said["loc"])) if isinstance(said.get("loc"), list) else ""
                return (f"{where}: " if where else "") + _words(said[key])
        return json.dumps(said)
    if isinstance(said, list):
        return "; ".join(map(_words, said))
    return str(said)


def _label_mass(reply: Mapping[str, Any], answer: Mapping[str, Any]) -> float | None:
    """Where vLLM tells it: of the answer, or of the reply by the question's name."""
    for told in (answer.get("diagnostics"), reply.get("diagnostics")):
        if isinstance(told, Mapping):
            own = told.get(QUESTION)
            value = (own if isinstance(own, Mapping) else told).get("label_mass")
            if _is_probability(value, SLACK):
                return min(float(value), 1.0)
    return None


def _yes_no(p: Any, mass: float | None) -> Decision:
    if not _is_probability(p):
        return Decision(None, (f"{p!r:.40} for a probability",), mass)
    return Decision((float(p), 1 - float(p)), (), mass)


def _chosen(given: Any, names: Sequence[str], mass: float | None) -> Decision:
    """A choice's probabilities by its options' names, which servers may write otherwise."""
    if not isinstance(given, Mapping) or not given:
        return Decision(None, ("no probabilities of the options",), mass)
    odd = [p for p in given.values() if not _is_probability(p, SLACK)]
    if odd:
        return Decision(None, (f"{odd[0]!r:.40} for a probability",), mass)
    notes = []
    if set(given) != set(names):
        plain = {_plain(str(name)): p for name, p in given.items()}
        if len(plain) != len(given) or set(plain) != set(map(_plain, names)):
            return Decision(None, ("its options are not those that were given",), mass)
        given = {name: plain[_plain(name)] for name in names}
        notes.append("its options are written otherwise")
    total = math.fsum(given.values())
    if total <= 0:
        return Decision(None, ("no option has any probability",), mass)
    if abs(total - 1) > SLACK:
        notes.append(f"its probabilities add up to {total:.3g}")
    return Decision(tuple(float(given[name]) / total for name in names), tuple(notes), mass)


def _is_probability(value: Any, slack: float = 0.0) -> TypeGuard[float]:
    return type(value) in (int, float) and 0 <= value <= 1 + slack


def _plain(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()
