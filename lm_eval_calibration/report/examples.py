"""The most over-confident wrong answers: what the model was asked, and what it believed."""

from __future__ import annotations

import textwrap
from bisect import bisect
from dataclasses import dataclass

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs import LoggedDocument, read_documents
from lm_eval_calibration.logs.formats.harness.documents import logs_answers
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.predictions import Predictions

_LINE = 90  # characters
LEVELS = (0.5, 0.7, 0.85, 0.95)
_LONGEST = 20_000  # characters of a prompt; beyond, its middle is left out


@dataclass(frozen=True)
class Option:
    """One continuation or answer: its probability, and whether it is right or was predicted."""

    text: str
    probability: float
    gold: bool
    predicted: bool


@dataclass(frozen=True)
class Sentence:
    """One sentence of the answer: its score, and how many of `LEVELS` it reaches, its shade."""

    text: str
    score: float
    level: int


@dataclass(frozen=True)
class Example:
    """One wrong answer; `answer` is the predicted option in one line."""

    doc_id: str
    answer: str
    confidence: float
    prompt: str
    options: tuple[Option, ...]
    sentences: tuple[Sentence, ...] = ()


def has_texts(samples: Samples) -> bool:
    """Whether the prompts and answers of these samples can be read again."""
    if not len(samples.offset):
        return samples.format != "" and samples.predictions.options is not None and _shown(samples)
    return samples.predictions.options is not None or logs_answers(samples)


def _shown(samples: Samples) -> bool:
    """Whether a format of files that are no JSON lines of the harness shows documents."""
    try:
        return bool(read_documents(samples, [0]))
    except InvalidInputError:
        return False


def over_confident(predictions: Predictions, count: int) -> list[int]:
    """Rows of up to `count` wrong answers, the most confident first, ties in the rows' order.

    >>> over_confident(Predictions.from_confidences([0.5, 0.9, 0.8, 0.8], [0, 1, 0, 0]), 2)
    [2, 3]
    """
    wrong = np.flatnonzero(~np.asarray(predictions.correct, dtype=bool))
    order = np.argsort(-predictions.confidence[wrong], kind="stable")
    return wrong[order][:count].tolist()


def examples(samples: Samples, count: int) -> list[Example]:
    """The texts of the most over-confident wrong answers.

    Raises:
        InvalidInputError: the file is gone or has changed.
    """
    rows = over_confident(samples.predictions, count)
    return [_example(document) for document in (read_documents(samples, rows) if rows else [])]


def _example(document: LoggedDocument) -> Example:
    options = tuple(
        Option(text, document.probabilities[i], i in document.gold, i == document.predicted)
        for i, text in enumerate(document.options)
    )
    answer = textwrap.shorten(document.options[document.predicted], _LINE, placeholder="…")
    sentences = tuple(
        Sentence(text.strip(), p, bisect(LEVELS, p)) for text, p in document.sentences
    )
    prompt = _cut(document.prompt)
    return Example(document.doc_id, answer, document.confidence, prompt, options, sentences)


def _cut(text: str) -> str:
    """A text without its middle if it is very long."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n\n[{len(text) - 2 * half:,} characters left out]\n\n{text[-half:]}"
