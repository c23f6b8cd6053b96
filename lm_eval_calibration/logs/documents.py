"""A single document, as somebody wants to see it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LoggedDocument:
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


def document_hash(document: Any) -> int:
    """The first 64 bits of a document's hash, as the harness makes it, for `Samples.doc_hash`.

    Args:
        document: what was asked, as JSON has it, and nothing of a model or its answer: a document has the
            same hash in every run. Of the document that the harness has, it is the harness's hash, so
            that runs of both are paired.

    >>> document_hash({"question": "Is ice cold?", "options": ["yes", "no"]}) < 2**64
    True
    """
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return int(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16], 16)
