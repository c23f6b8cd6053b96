"""The texts of single documents, read from their lines when somebody wants to see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.samples.line import options, parse
from lm_eval_calibration.samples.run import Samples


@dataclass(frozen=True)
class Document:
    """What a model was asked, and what it believed.

    Attributes:
        doc_id: the harness's number of the document.
        prompt: the context, few-shot examples included.
        options: the continuations it chose from, without the white space before them.
        gold: indices of the right ones; empty if the log does not say.
        predicted: index of the most likely one.
        confidence: its probability.
    """

    doc_id: str
    prompt: str
    options: tuple[str, ...]
    gold: tuple[int, ...]
    predicted: int
    confidence: float


def read_documents(samples: Samples, rows: Sequence[int]) -> list[Document]:
    """The documents of some rows of `samples`, from the file they were read from.

    Raises:
        InvalidInputError: the samples come from no samples file, hold no options, or the file
            is gone.
    """
    p = samples.predictions
    if not len(samples.offset) or p.predicted is None or p.gold is None:
        raise InvalidInputError(f"{samples.path} holds no texts of documents.")
    found = []
    try:
        with samples.path.open("rb") as file:
            for row in rows:
                file.seek(int(samples.offset[row]))
                sample = parse(file.readline())
                asked = options(sample)
                found.append(
                    Document(
                        doc_id=str(sample["doc_id"]),
                        prompt=asked.prompt,
                        options=tuple(text.lstrip() for text in asked.texts),
                        gold=tuple(np.flatnonzero(p.gold[row]).tolist()),
                        predicted=int(p.predicted[row]),
                        confidence=float(p.confidence[row]),
                    )
                )
    except OSError as error:
        raise InvalidInputError(f"{samples.path} cannot be read again: {error}.") from None
    return found
