"""Texts: how they are cut up, encoded, kept, and shown with what stands before them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal import encoders
from lm_eval_calibration.fractal.encoders import Encoder
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.responses import CONTEXT, Response, bags_of, contexts, question_of
from lm_eval_calibration.fractal.sentences import split

PROSE = (
    'Dr. Smith paid $3.50 for it. He got 2.5 kg, i.e. more than before! "Really?" she said.\n\n'
    "U.S. prices rose."
)


def test_sentences() -> None:
    assert split(PROSE) == [
        "Dr. Smith paid $3.50 for it.",
        "He got 2.5 kg, i.e. more than before!",
        '"Really?" she said.',
        "U.S. prices rose.",
    ]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("First: 1 + 1 = 2.\nThus 2.\n\nThen 3.", ["First: 1 + 1 = 2.\nThus 2.", "Then 3."]),
        ("1 + 1 = 2.\nSo 2.", ["1 + 1 = 2.", "So 2."]),
        ("It is 2. So it is.", ["It is 2.", "So it is."]),
        ("", [""]),
        (" \n\n ", [""]),
    ],
)
def test_steps(text: str, parts: list[str]) -> None:
    assert split(text, "steps") == parts


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab .!?\n1", max_size=80), st.sampled_from(["sentences", "steps"]))
def test_nothing_is_lost(text: str, how: str) -> None:
    found = split(text, how)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(part == part.strip() for part in found) and found


def test_another_way_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="sentences or steps"):
        split("a", "words")


def test_a_text_is_encoded_once(toy_encoder: Any, tmp_path: Path) -> None:
    first = Encoder("toy", tmp_path)
    found = first.encode(["a", "b", "a"])
    assert toy_encoder.count == 2 and np.array_equal(found[0], found[2])
    again = Encoder("toy", tmp_path).encode(["b", "a"])
    assert toy_encoder.count == 2 and np.array_equal(again, found[[1, 0]])
    Encoder("other", tmp_path).encode(["a"])
    assert toy_encoder.count == 3, "embeddings of another encoder are others"


def test_a_damaged_store_says_so(toy_encoder: Any, tmp_path: Path) -> None:
    Encoder("toy", tmp_path).encode(["a"])
    (path,) = tmp_path.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InvalidInputError, match="Delete it"):
        Encoder("toy", tmp_path)


def test_a_transformers_model_is_an_encoder(tiny_model: Path) -> None:
    found = Encoder(str(tiny_model)).encode(["One and one are two.", "So.", "One and one are two."])
    assert found.shape == (3, 32) and np.isfinite(found).all()
    assert np.array_equal(found[0], found[2]) and not np.allclose(found[0], found[1])


def test_no_such_encoder() -> None:
    with pytest.raises(InvalidInputError, match="encoder"):
        Encoder("/nowhere/at-all").encode(["a"])


def test_a_packaged_encoder_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "carried_encoder"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(encoders.PACKAGED, "carried", "carried_encoder")
    assert encoders._place("carried") == str(package / "model")
    assert encoders._place("another") == "another"


def test_what_stands_before() -> None:
    assert list(contexts(["a", "b", "c"])) == ["", "a", "a b"]
    long = ["x" * 600, "y" * 600, "z"]
    assert list(contexts(long))[2] == "y" * 600
    assert all(len(text) <= CONTEXT + 2 for text in contexts(["word"] * 900))


def test_bags_of_responses(toy_encoder: Any) -> None:
    responses = [
        Response("q", ("right", "wrong"), 0.0, (1.0, 0.0), 7),
        Response("r", ("right",), 1.0, document=8),
    ]
    bags = bags_of(responses, Encoder("toy"), SentenceReading("toy", preceding=True))
    assert bags.offsets.tolist() == [0, 2, 3] and bags.labels.tolist() == [0.0, 1.0]
    assert bags.sentence_labels[:2].tolist() == [1.0, 0.0] and np.isnan(bags.sentence_labels[2])
    assert bags.documents.tolist() == [7, 8]
    assert bags.inputs.shape == (3, 24)
    assert np.array_equal(bags.sentences[0], bags.sentences[2])
    with pytest.raises(InvalidInputError, match="responses"):
        bags_of([], Encoder("toy"), SentenceReading("toy"))


def test_responses_that_cannot_be() -> None:
    for arguments in (("q", ()), ("q", ("a",), 2.0), ("q", ("a",), 1.0, (1.0, 0.0))):
        with pytest.raises(InvalidInputError):
            Response(*arguments)


def test_questions() -> None:
    assert question_of({"question": "Why?"}, "Q: Why?") == "Why?"
    assert question_of({"question": ["Why?"], "query": ""}, "Q: Why?") == "Q: Why?"
    assert question_of(None, "p") == "p"
