"""Responses as they are read, and the bags that they become."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lm_eval_calibration.errors import invalid
from lm_eval_calibration.fractal.bags import Bags
from lm_eval_calibration.fractal.encoders import Encoder, Progress
from lm_eval_calibration.fractal.reading import SentenceReading

QUESTION_KEYS = ("question", "problem", "prompt", "query", "instruction", "input")
APART = "\n\n"
"""Between question and sentences that are read as one text; also at its end, so that the tokens of a
beginning are those of the whole."""
CONTEXT = 1000
"""Characters of preceding sentences that are shown; whole sentences, the nearest ones."""


@dataclass(frozen=True)
class Response:
    """One response, cut up.

    Attributes:
        question: what it answers.
        sentences: at least one.
        label: 1 if it is right, 0 if not, a share for `avg`; NaN where unknown.
        sentence_labels: likewise of each sentence; empty where none is known.
        document: the first 64 bits of the harness's hash of the document.
        prompt: what was asked, a text or chat messages, where it is known.
        text: the response as it was given, likewise.
    """

    question: str
    sentences: tuple[str, ...]
    label: float = math.nan
    sentence_labels: tuple[float, ...] = field(default=())
    document: int = 0
    prompt: Any = ""
    text: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not self.sentences:
            raise invalid("sentences", "at least one", "none")
        if self.sentence_labels and len(self.sentence_labels) != len(self.sentences):
            raise invalid(
                "sentence_labels", f"one for each of {len(self.sentences)} sentences",
                len(self.sentence_labels),
            )  # fmt: skip
        for value in (self.label, *self.sentence_labels):
            if not (math.isnan(value) or 0 <= value <= 1):
                raise invalid("label", "from 0 to 1", value)


def question_of(doc: Any, prompt: str) -> str:
    """The question of a document by the names that data sets give it, else its prompt.

    >>> question_of({"problem": "1 + 1?", "id": 7}, "Solve: 1 + 1?")
    '1 + 1?'
    """
    fields = doc if isinstance(doc, Mapping) else {}
    texts = (fields.get(key) for key in QUESTION_KEYS)
    return next((text for text in texts if isinstance(text, str) and text.strip()), prompt)


def bags_of(
    responses: Sequence[Response],
    encoder: Encoder,
    reading: SentenceReading,
    progress: Progress | None = None,
) -> Bags:
    """Responses as embeddings.

    Args:
        responses: at least one.
        encoder: of texts.
        reading: what it is shown of each sentence.
        progress: called with how many new texts have been encoded.

    Raises:
        InvalidInputError: no responses; or as the encoder.
    """
    if not responses:
        raise invalid("responses", "at least one", "none")
    if reading.in_context:
        queries = [r.question.strip() + APART for r in responses]
        sentences = [text for r in responses for text in readings(r)]
    else:
        queries = [r.question for r in responses]
        sentences = [sentence for r in responses for sentence in r.sentences]
    before = (
        [text for r in responses for text in contexts(r.sentences)] if reading.preceding else None
    )
    known = [r.sentence_labels or (math.nan,) * len(r.sentences) for r in responses]
    return Bags(
        sentences=encoder.encode(sentences, progress),
        queries=encoder.encode(queries, progress),
        offsets=np.r_[0, np.cumsum([len(r.sentences) for r in responses])].astype(np.intp),
        labels=np.array([r.label for r in responses], dtype=np.float64),
        sentence_labels=np.concatenate([np.array(labels, dtype=np.float64) for labels in known]),
        preceding=None if before is None else encoder.encode(before, progress),
        documents=np.array([r.document for r in responses], dtype=np.uint64),
    )


def readings(response: Response) -> Iterator[str]:
    r"""Question and sentences up to the end of each one.

    >>> list(readings(Response("Why?", ("One.", "Two."))))
    ['Why?\n\nOne.\n\n', 'Why?\n\nOne.\n\nTwo.\n\n']
    """
    text = response.question.strip() + APART
    for sentence in response.sentences:
        text += sentence.strip() + APART
        yield text


def contexts(sentences: Sequence[str]) -> Iterator[str]:
    """Of each sentence the ones before it, as many of the nearest as fit.

    >>> list(contexts(["One.", "Two.", "Three."]))
    ['', 'One.', 'One. Two.']
    """
    for place in range(len(sentences)):
        first, length = place, 0
        while first > 0 and length + len(sentences[first - 1]) <= CONTEXT:
            first -= 1
            length += len(sentences[first]) + 1
        yield " ".join(sentences[first:place])
