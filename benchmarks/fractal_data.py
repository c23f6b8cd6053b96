"""Responses with labels of their sentences, for `benchmarks/fractal.py`: real sets, and made ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_calibration.fractal.bags import Bags, Pairs
from lm_eval_calibration.fractal.encoders import Encoder
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.fractal.responses import Response, bags_of
from lm_eval_calibration.fractal.sentences import split

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Set:
    """One data set: bags, preferences if it has some, and how its labels aggregate."""

    name: str
    bags: Bags
    aggregate: str
    pairs: Pairs | None = None


def real(
    name: str, data: Path, encoder: Encoder, reading: SentenceReading, limit: int | None = None
) -> Set:
    """One of `REAL`, from a folder that is laid out like the hub, or `limit` documents drawn of it."""
    aggregate, read = REAL[name]
    responses, pairs = read(data)
    if limit is not None:
        responses, pairs = _drawn(responses, pairs, limit)
    return Set(name, bags_of(responses, encoder, reading), aggregate, pairs)


def _drawn(
    responses: list[Response], pairs: Pairs | None, limit: int
) -> tuple[list[Response], Pairs | None]:
    documents = np.array([response.document for response in responses])
    order = np.random.default_rng(0).permutation(np.unique(documents))
    kept = np.flatnonzero(np.isin(documents, order[:limit]))
    among = None if pairs is None else pairs.among(kept, len(responses))
    return [responses[place] for place in kept], among


def _rows(data: Path, folder: str, part: str) -> list[dict[str, Any]]:
    import pandas as pd

    paths = sorted((data / folder).glob(f"{part}-*.parquet"))
    return [row for path in paths for row in pd.read_parquet(path).to_dict("records")]


def _multispan(data: Path) -> tuple[list[Response], None]:
    """MAX: does the text hold an answer? A random half of the texts loses its answers' sentences."""
    rng = np.random.default_rng(0)
    found = []
    for number, row in enumerate(_rows(data, "haonan-li/MultiSpanQA", "default/validation")):
        parts = list(_tagged_sentences(row["context"], row["label"]))
        without = [part for part in parts if not part[1]]
        if rng.random() < 0.5 and without:
            parts = without
        texts, labels = zip(*parts, strict=True)
        label = float(max(labels))
        found.append(Response(" ".join(row["question"]), texts, label, labels, number))
    return found, None


def _tagged_sentences(tokens: Any, tags: Any) -> Iterator[tuple[str, float]]:
    words: list[str] = []
    answer = 0.0
    for number, (word, tag) in enumerate(zip(tokens, tags, strict=True)):
        words.append(str(word))
        answer = max(answer, float(tag != "O"))
        if word in (".", "!", "?") or number == len(tokens) - 1:
            yield " ".join(words), answer
            words, answer = [], 0.0


def _process_bench(data: Path) -> tuple[list[Response], None]:
    """MIN: is every step right? GSM8K and MATH; steps after the first wrong one are unknown."""
    found = []
    for part in ("default/gsm8k", "default/math"):
        for row in _rows(data, "Qwen/ProcessBench", part):
            steps, first = [str(step) for step in row["steps"]], int(row["label"])
            labels = [1.0] * len(steps)
            if first >= 0:
                labels[first:] = [0.0] + [NAN] * (len(steps) - first - 1)
            right = float(first < 0)
            found.append(Response(row["problem"], tuple(steps), right, tuple(labels), len(found)))
    return found, None


def _felm(data: Path) -> tuple[list[Response], None]:
    """MIN: is every segment free of errors?"""
    found = []
    for row in _rows(data, "hkust-nlp/felm", "all/test"):
        labels = tuple(float(label) for label in row["labels"])
        if labels:
            texts = tuple(str(text) for text in row["segmented_response"])
            found.append(Response(row["prompt"], texts, min(labels), labels, len(found)))
    return found, None


def _qa_feedback(data: Path) -> tuple[list[Response], Pairs]:
    """Preferences between four answers (AVG); the first one's sentences are labelled irrelevant or not."""
    found: list[Response] = []
    pairs: list[tuple[int, int, float]] = []
    for number, row in enumerate(_rows(data, "allenai/qa_feedback", "default/validation")):
        base = len(found)
        for k, text in enumerate([row["prediction"], *row["other_predictions"]]):
            sentences = tuple(split(str(text)))
            labels = _relevant(str(text), sentences, row["errors"]) if k == 0 else ()
            found.append(Response(row["question"], sentences, NAN, labels, number))
        places = [(a, b) for a in range(4) for b in range(a + 1, 4)]
        for (a, b), better in zip(places, row["preference"], strict=True):
            if better:
                pairs.append((base + a, base + b, float(better == 2)))
    first, second, target = (np.array(column) for column in zip(*pairs, strict=True))
    return found, Pairs(first, second, target)


def _relevant(text: str, sentences: tuple[str, ...], errors: Any) -> tuple[float, ...]:
    labels, end = [], 0
    spans = [(e["start"], e["end"]) for e in errors if e["type"] == "Irrelevant"]
    for sentence in sentences:
        start = text.find(sentence, end)
        end = start + len(sentence)
        labels.append(float(not any(a < end and start < b for a, b in spans)))
    return tuple(labels)


REAL = {
    "MultiSpanQA": ("max", _multispan),
    "ProcessBench": ("min", _process_bench),
    "FELM": ("min", _felm),
    "QA-Feedback": ("avg", _qa_feedback),
}


def made(seed: int, count: int = 600, size: int = 64) -> Set:
    """Responses whose sentences are right or wrong by what they are about.

    Topics are directions in the space of embeddings, half of them wrong ones. A response draws two
    to nine sentences of a topic or two, so that similar sentences are right or wrong together, and
    right topics lie a little nearer to the questions.
    """
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(24, size))
    wrong = np.arange(24) % 4 == 0
    queries = rng.normal(size=(count, size)) * 0.5 + topics[~wrong].mean(axis=0) * 2
    sizes = rng.integers(2, 10, count)
    owner = np.repeat(np.arange(count), sizes)
    about = rng.integers(24, size=(count, 2))
    topic = about[owner, rng.integers(2, size=len(owner))]
    sentences = topics[topic] * 0.5 + 0.7 * rng.normal(size=(len(owner), size))
    right = ~wrong[topic]
    offsets = np.r_[0, np.cumsum(sizes)]
    bags = Bags(
        sentences.astype(np.float32),
        queries.astype(np.float32),
        offsets,
        np.minimum.reduceat(right, offsets[:-1]).astype(float),
        right.astype(float),
        documents=np.arange(count, dtype=np.uint64),
    )
    return Set("made", bags, "min")
