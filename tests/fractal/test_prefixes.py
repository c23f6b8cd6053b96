"""States in context: what a beginning of a text is in the whole, and read by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from transformers import AutoModel, AutoTokenizer

from lm_eval_calibration.arguments import built
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal import prefixes
from lm_eval_calibration.fractal.encoders import Encoder
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.responses import Response, bags_of

RESPONSES = [
    Response("What is 1 + 1?", ("One.", "One more is two.", "So 2.")),
    Response("What is 1 + 1?", ("One.", "One more is three.")),
    Response("And 3?", ("Three it is, then.",)),
]
READING = SentenceReading("X", in_context=True)


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> SentenceTransformer:
    found = SentenceTransformer(str(tiny_model), device="cpu")
    found.tokenizer.pad_token = found.tokenizer.eos_token
    return found


def alone(tiny_model: Path, text: str) -> Any:
    """By transformers itself: one text, its last token."""
    tokens = AutoTokenizer.from_pretrained(tiny_model)(text, return_tensors="pt")
    network = AutoModel.from_pretrained(tiny_model).eval()
    with torch.no_grad():
        return network(**tokens).last_hidden_state[0, -1].numpy()


def test_a_language_model_reads_a_response_once(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    passed = prefixes._states
    monkeypatch.setattr(
        prefixes, "_states", lambda network, batch: computed.extend(batch) or passed(network, batch)
    )
    bags = bags_of(RESPONSES, Encoder(str(tiny_model)), READING)
    of_sentences = [text for text in computed if len(text) > len("What is 1 + 1?\n\n") + 2]
    assert len(of_sentences) == 3  # one of each response: the rest are their beginnings
    asked = "What is 1 + 1?\n\nOne.\n\nOne more is two.\n\n"
    assert bags.sentences[1] == pytest.approx(alone(tiny_model, asked), abs=1e-5)
    assert bags.queries[0] == pytest.approx(alone(tiny_model, "What is 1 + 1?\n\n"), abs=1e-5)
    assert bags.sentences[0] == pytest.approx(bags.sentences[3])  # what comes later is not seen


@given(texts=st.lists(st.text("ab ", max_size=6), min_size=1, max_size=8))
@settings(max_examples=25)
def test_whatever_begins_what(model: SentenceTransformer, texts: list[str]) -> None:
    found = prefixes.last_states(model, texts)
    for text, row in zip(texts, found, strict=True):
        assert row == pytest.approx(prefixes.last_states(model, [text])[0], abs=1e-5)


def test_long_texts_are_cut(model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model[0], "max_seq_length", 16)
    one, other = prefixes.last_states(model, ["a" * 30, "a" * 40])
    assert np.array_equal(one, other)


def test_a_sentence_encoder_reads_the_text_so_far(toy_encoder: Any) -> None:
    bags = bags_of(RESPONSES, Encoder("toy"), READING)
    expected = Encoder("toy").encode(["What is 1 + 1?\n\nOne.\n\n"])[0]
    assert np.array_equal(bags.sentences[0], expected)


def test_both_ways_at_once_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="in_context"):
        SentenceReading("X", preceding=True, in_context=True)


def test_older_scorers_are_read() -> None:
    """Whose files do not name what they could not do."""
    told = {"encoder": "X", "split": "steps", "preceding": True}
    assert built(SentenceReading, told) == SentenceReading("X", "steps", preceding=True)
