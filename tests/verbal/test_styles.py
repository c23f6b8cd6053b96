"""What each way of asking says to the model, and reads of its reply."""

from __future__ import annotations

import pytest
from jinja2 import Environment, StrictUndefined

from lm_eval_calibration.verbal.labels import Labels, name_options
from lm_eval_calibration.verbal.parsing import read_guesses
from lm_eval_calibration.verbal.styles import PHRASES, STYLES, read_words, style

LONG = ["a very long option that is named by a letter", "another long one of the same kind"]
JINJA = Environment(trim_blocks=True, undefined=StrictUndefined, autoescape=False)


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("texts", [["yes", "no"], LONG])
def test_the_prompt_names_every_option(name: str, texts: list[str]) -> None:
    asked, labels = style(name, 2), name_options(texts)
    prompt = JINJA.from_string(asked.template).render(question="Why?", **asked.names(labels))
    assert prompt.startswith("Why?") and all(text in prompt for text in texts)
    assert all(label in prompt for label in labels.names) and "JSON object" in prompt
    assert ("best guess" in prompt) == (name in ("top1", "topk"))
    assert all(phrase in prompt for phrase in PHRASES) == (name == "linguistic")


def test_guesses_leave_the_rest_to_the_others() -> None:
    labels = Labels("abcd")
    assert read_guesses('{"a": 0.5, "b": 0.3}', labels).probabilities == pytest.approx(
        (0.5, 0.3, 0.1, 0.1)
    )
    assert read_guesses('{"a": 60}', labels).probabilities == pytest.approx(
        (0.6, 0.4 / 3, 0.4 / 3, 0.4 / 3)
    )
    both = read_guesses('{"a": 0.9, "b": 0.6}', labels)
    assert both.probabilities == pytest.approx((0.6, 0.4, 0, 0)) and both.notes == ("sum 1.5",)
    assert read_guesses('{"e": 0.9}', labels).status == "invalid"
    assert read_guesses("no idea", labels).status == "invalid"


def test_phrases() -> None:
    labels = Labels(["yes", "no"])
    said = read_words('{"answer": "Yes", "sure": "almost certain"}', labels)
    assert said.probabilities == pytest.approx((0.93, 0.07)) and said.status == "valid"
    around = read_words('Well: {"answer": "no", "sure": "Chances about even."}', labels)
    assert around.probabilities == pytest.approx((0.5, 0.5)) and around.status == "repaired"
    for text in ('{"answer": "no", "sure": "very"}', '{"answer": "maybe", "sure": "probable"}', ""):
        assert read_words(text, labels).status == "invalid"
