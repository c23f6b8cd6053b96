"""The texts of single documents, read from their lines when somebody wants to see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.logs.documents import LoggedDocument
from lm_eval_calibration.logs.formats.harness.asked import prompt_of
from lm_eval_calibration.logs.formats.harness.bad import BadLineError, malformed_is_bad
from lm_eval_calibration.logs.formats.harness.line import options
from lm_eval_calibration.logs.formats.harness.lines import again
from lm_eval_calibration.logs.run import Samples
from lm_eval_calibration.logs.secret_places import DATA
from lm_eval_calibration.redact import redact

SENTENCES = "sentences"
"""Of a line: scores of a given response's sentences; of its `doc`: their texts."""


def read_documents(samples: Samples, rows: Sequence[int]) -> list[LoggedDocument]:
    """The documents of some rows of `samples`, from the file they were read from.

    Raises:
        InvalidInputError: the samples come from no samples file, hold no options, or the file
            is gone.
    """
    if not len(samples.offset):
        raise InvalidInputError(f"{samples.path} holds no texts of documents.")
    read = again(samples.path, (samples.offset[row] for row in rows))
    return [
        _document(samples, row, redact(sample, samples.secrets, DATA))
        for row, sample in zip(rows, read, strict=True)
    ]


def logs_answers(samples: Samples) -> bool:
    """Whether the file logs answers with what was believed of them, or scores of their sentences."""
    try:
        sample = next(again(samples.path, samples.offset[:1]), {})
    except InvalidInputError:
        return False
    return any(isinstance(sample.get(key), Mapping) for key in ("envelopes", SENTENCES))


@malformed_is_bad
def _document(samples: Samples, row: int, sample: Mapping[str, Any]) -> LoggedDocument:
    if isinstance(sample.get("envelopes"), Mapping):
        return _generated(samples, row, sample)
    if isinstance(sample.get(SENTENCES), Mapping):
        return _given(samples, row, sample)
    stated = sample.get("stated")
    if isinstance(stated, Mapping) and "labels" in stated:
        return _chosen(samples, row, sample, prompt_of(sample), stated["labels"])
    asked = options(sample)
    return _chosen(samples, row, sample, asked.prompt, asked.texts)


def _chosen(
    samples: Samples, row: int, sample: Mapping[str, Any], prompt: str, texts: Sequence[str]
) -> LoggedDocument:
    """A document of a multiple-choice task, or of one whose labels' probabilities were stated."""
    p = samples.predictions
    if p.predicted is None or p.options is None or p.golds is None:
        raise InvalidInputError(f"{samples.path} holds no texts of documents.")
    here = np.array([row])
    return LoggedDocument(
        doc_id=str(sample["doc_id"]),
        prompt=prompt,
        options=tuple(text.lstrip() for text in texts),
        probabilities=tuple(np.exp(p.options.take(here).values).tolist()),
        gold=tuple(np.flatnonzero(p.golds.take(here).values).tolist()),
        predicted=int(p.predicted[row]),
        confidence=float(p.confidence[row]),
    )


def _generated(samples: Samples, row: int, sample: Mapping[str, Any]) -> LoggedDocument:
    """A document of a generation task: its answer, and the other answers of its pool."""
    first = sample["filtered_resps"][0]
    if isinstance(first, list) and len(first) == 1:
        (first,) = first  # (0.5 logs a list of the request's repeats)
    answer, right = str(first), bool(samples.predictions.correct[row])
    weights, scores = {answer: float("nan")}, {answer: float(right)}
    try:
        for text, weight, score in _candidates(sample["envelopes"]):
            weights[text] = np.nansum([weights.get(text, 0.0), weight])
            scores[text] = max(scores.get(text, 0.0), score)
    except (KeyError, TypeError, ValueError) as error:
        raise BadLineError(f"{samples.path}: a damaged `envelopes` entry ({error!r})") from None
    confidence = float(samples.predictions.confidence[row])
    weights[answer] = confidence
    return LoggedDocument(
        doc_id=str(sample["doc_id"]),
        prompt=prompt_of(sample),
        options=tuple(weights),
        probabilities=tuple(weights.values()),
        gold=tuple(i for i, text in enumerate(weights) if scores[text] == 1),
        predicted=0,
        confidence=confidence,
        sentences=_sentences(samples, sample["envelopes"], sample["envelopes"].get("sentences")),
    )


def _given(samples: Samples, row: int, sample: Mapping[str, Any]) -> LoggedDocument:
    """A response that a data set brought, whose sentences were scored."""
    texts = sample["doc"].get(SENTENCES) if isinstance(sample.get("doc"), Mapping) else None
    scored = _sentences(samples, sample[SENTENCES], texts)
    answer = " ".join(text for text, _ in scored)
    confidence = float(samples.predictions.confidence[row])
    right = bool(samples.predictions.correct[row])
    return LoggedDocument(
        doc_id=str(sample["doc_id"]),
        prompt=prompt_of(sample),
        options=(answer,),
        probabilities=(confidence,),
        gold=(0,) if right else (),
        predicted=0,
        confidence=confidence,
        sentences=scored,
    )


def _sentences(
    samples: Samples, logged: Mapping[str, Any], texts: Any
) -> tuple[tuple[str, float], ...]:
    scores = logged.get("scores" if "labels" in logged else "sentence_scores") or ()
    try:
        return tuple(zip(map(str, texts or ()), map(float, scores), strict=True))
    except (TypeError, ValueError) as error:
        raise BadLineError(f"{samples.path}: damaged scores of sentences ({error})") from None


def _candidates(logged: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """(text, what speaks for it, score) of each candidate."""
    texts, picks = [str(text) for text in logged["filtered"]], logged["picks"]
    weights = logged["beliefs"] or [
        picks.count(i) / len(picks) if picks else 1 / len(texts) for i in range(len(texts))
    ]
    return list(zip(texts, map(float, weights), map(float, logged["scores"]), strict=True))
