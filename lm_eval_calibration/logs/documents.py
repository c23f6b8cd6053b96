"""A single document, as somebody wants to see it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """What a model was asked, and what it believed.

    Attributes:
        doc_id: the harness's number of the document.
        prompt: the context, few-shot examples included.
        options: the continuations it chose from, without the white space before them; or of what
            it generated each different answer, after the task's filter.
        probabilities: of the options, or what speaks for each answer; NaN if nothing was stated.
        gold: indices of the right ones; empty if the log does not say.
        predicted: index of the most likely one, or of the answer given.
        confidence: its probability, or as stated.
        sentences: of the answer with their scores, where a scorer of sentences was at work.
    """

    doc_id: str
    prompt: str
    options: tuple[str, ...]
    probabilities: tuple[float, ...]
    gold: tuple[int, ...]
    predicted: int
    confidence: float
    sentences: tuple[tuple[str, float], ...] = ()
