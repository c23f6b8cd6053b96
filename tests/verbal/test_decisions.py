"""The two forms of the wire of decision models: what is sent fits their owners' own models, and odd answers are no beliefs."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.verbal.decisions import (
    CHOICE,
    FORMS,
    QUESTION,
    YES_NO,
    Form,
    OpenAIForm,
    form_of,
)

NAMES = st.lists(st.text(min_size=1), min_size=2, max_size=6, unique_by=str.casefold)
TEXTS = st.text() | st.none()


@st.composite
def questions(draw: st.DrawFn) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "instructions": draw(st.text()),
        "type": draw(st.sampled_from([CHOICE, YES_NO])),
    }
    if asked["type"] == CHOICE:
        asked["options"] = [(name, draw(TEXTS)) for name in draw(NAMES)]
    return asked


@given(st.text(), questions())
def test_what_is_sent_fits_the_official_models(state: str, question: dict[str, Any]) -> None:
    sdk = pytest.importorskip(
        "typesafe_sdk._schemas.models", reason="typesafe-sdk is not installed"
    )
    sent = Form().payload("m", state, question)
    kind = {CHOICE: sdk.ChoiceQuestion, YES_NO: sdk.NoulQuestion}[question["type"]]
    asked = kind.model_validate(sent["questions"][QUESTION], extra="forbid")
    assert sent.keys() == {"model", "state", "questions"}
    if question["type"] == CHOICE:
        assert list(asked.criteria) == [name for name, _ in question["options"]]


@settings(deadline=None)  # (the first call builds the parameters' schema)
@given(st.text(), questions())
def test_what_is_sent_fits_openais_parameters(state: str, question: dict[str, Any]) -> None:
    decisions = pytest.importorskip(
        "openai.types.decision_create_params", reason="openai is not installed"
    )
    from pydantic import TypeAdapter

    sent = OpenAIForm().payload("m", state, question)
    TypeAdapter(decisions.DecisionCreateParams).validate_python(sent, strict=True)


def replied(form: Form, question: dict[str, Any], p: list[float]) -> dict[str, Any]:
    """An answer in a form."""
    if question["type"] == YES_NO:
        answer: dict[str, Any] = {"noul": p[0], "probability": p[0]}
    else:
        names = [name for name, _ in question["options"]]
        pairs = dict(zip(names, p, strict=True))
        listed = [{"value": n, "probability": v} for n, v in pairs.items()]
        answer = {
            "probabilities": listed if isinstance(form, OpenAIForm) else pairs,
            "confidence": 0.5,
        }
    answer |= {"type": question["type"], "name": QUESTION}
    return {"answers": [answer] if isinstance(form, OpenAIForm) else {QUESTION: answer}}


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
def test_what_is_answered_is_read(name: str, data: st.DataObject) -> None:
    form, question = FORMS[name](), data.draw(questions())
    count = len(question["options"]) if question["type"] == CHOICE else 2
    weights = data.draw(st.lists(st.floats(0.01, 1), min_size=count, max_size=count))
    p = [w / math.fsum(weights) for w in weights]
    found = form.read(replied(form, question, p), question)
    assert found.probabilities == pytest.approx(p) and not found.notes


JSONS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
def test_whatever_is_answered_is_a_distribution_or_a_reason(name: str, data: st.DataObject) -> None:
    form, question = FORMS[name](), data.draw(questions())
    keys = st.sampled_from(
        ["type", "noul", "probability", "probabilities", "choice", "diagnostics"]
    )
    answer = data.draw(st.dictionaries(keys, JSONS) | JSONS)
    reply = data.draw(st.sampled_from([answer, {"answers": answer}, {"answers": [answer]}, {"answers": {QUESTION: answer}}]))  # fmt: skip
    found = form.read(reply, question)
    if found.probabilities is None:
        assert found.notes
    else:
        assert math.fsum(found.probabilities) == pytest.approx(1) and min(found.probabilities) >= 0


@pytest.mark.parametrize(
    ("given_", "expected", "note"),
    [
        ({"A": 0.6, "B": 0.4}, (0.6, 0.4), None),
        ({"a": 0.6, "b": 0.4}, (0.6, 0.4), "otherwise"),
        ({"A": 0.9, "B": 0.6}, (0.6, 0.4), "add up to 1.5"),
        ({"A": 0.6}, None, "not those"),
        ({"A": 0.6, "B": 0.3, "C": 0.1}, None, "not those"),
        ({"A": 1.5, "B": 0.1}, None, "1.5 for a probability"),
        ({"A": float("nan"), "B": 0.1}, None, "nan for a probability"),
        ({"A": True, "B": 0}, None, "True for a probability"),
        ({"A": 0.0, "B": 0.0}, None, "no option"),
        ({}, None, "no probabilities"),
        (None, None, "no probabilities"),
    ],
)
def test_odd_probabilities(given_: Any, expected: Any, note: str | None) -> None:
    question = {"type": CHOICE, "instructions": "?", "options": [("A", None), ("B", "b")]}
    found = Form().read(
        {"answers": {QUESTION: {"type": "choice", "probabilities": given_}}}, question
    )
    assert found.probabilities == (None if expected is None else pytest.approx(expected))
    assert (note is None and not found.notes) or (note is not None and note in found.notes[0])


def test_refusals_and_label_mass() -> None:
    question = {"type": YES_NO, "instructions": "?"}
    for name, form in FORMS.items():
        answer = {"type": "refusal", "name": QUESTION}
        reply = {"answers": [answer] if name == "decisions" else {QUESTION: answer}}
        assert form().read(reply, question).notes == ("it refused to answer",)
    told = {"type": "noul", "noul": 0.5, "diagnostics": {"label_mass": 0.75}}
    assert Form().read({"answers": {QUESTION: told}}, question).label_mass == 0.75
    outer = {"answers": {QUESTION: {"noul": 0.5}}, "diagnostics": {QUESTION: {"label_mass": 0.25}}}
    assert Form().read(outer, question).label_mass == 0.25


def test_addresses() -> None:
    assert isinstance(form_of("", "https://api.openai.com/v1/decisions"), OpenAIForm)
    assert type(form_of("", "http://localhost:8000")) is Form
    assert OpenAIForm().address("http://h/v1") == "http://h/v1/decisions"
