"""Which of a model's answers to a question say the same: by embeddings, by entailment, or as a model judges."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import Any, Protocol

import numpy as np

from lm_eval_calibration.errors import MissingExtraError, invalid
from lm_eval_calibration.fractal.encoders import Encoder, there
from lm_eval_calibration.messages import logger
from lm_eval_calibration.metrics.agreement import components
from lm_eval_calibration.models.shared.beliefs import BeliefWrapper, Question
from lm_eval_calibration.verbal.thinking import spoken

log = logger(f"lm_eval.{__name__}")

FILTER, EMBEDDINGS, NLI, MODEL = "filter", "embeddings", "nli", "model"
JUDGES = (FILTER, EMBEDDINGS, NLI, MODEL)
ENTAILMENT = "cross-encoder/nli-deberta-v3-small"
THRESHOLD = 0.9
LONGEST = 300
"""Characters of a question that an entailment model is shown."""
REPLY = 8
SAME = """\
Question: {{ question }}

Possible answer 1: {{ first }}

Possible answer 2: {{ second }}

Do both answers say the same? Reply with yes or no, and nothing else."""


class AskedSameness:
    """A question with its answers; equal ones, but for case and white space, are one, and empty ones say nothing.

    Args:
        request: of the task.
        question: its text.
        texts: answers.
    """

    def __init__(self, request: Any, question: str, texts: Sequence[str]) -> None:
        self.request, self.question = request, question
        plain = [" ".join(text.split()).casefold() for text in texts]
        first = {key: texts[plain.index(key)].strip() for key in dict.fromkeys(plain) if key}
        self.texts = list(first.values())
        self._place = [list(first).index(key) if key else None for key in plain]

    def clusters(self, same: Any) -> tuple[int, ...]:
        """Of every answer, by which of the different ones say the same: (K, K) truth values."""
        joined = components(same) if self.texts else []
        numbers = [
            joined[place] if place is not None else len(joined) + i  # (no answer agrees with none)
            for i, place in enumerate(self._place)
        ]
        order = {number: i for i, number in enumerate(dict.fromkeys(numbers))}
        return tuple(order[number] for number in numbers)


class Judge(Protocol):
    """Says which of the answers to each question say the same."""

    def check(self) -> None:
        """Raise, before anything is generated, if it cannot judge."""

    def same(self, questions: Sequence[AskedSameness]) -> Iterator[Any]:
        """(K, K) truth values of each question's K different answers."""


class ByEmbeddings:
    """Answers whose embeddings have a cosine of at least `threshold`.

    Args:
        encoder: of sentence-transformers or transformers.
        threshold: from -1 to 1.
        device: of the encoder.
    """

    def __init__(self, encoder: str, threshold: float, device: str | None = None) -> None:
        self._encoder, self._threshold = Encoder(encoder, device=device), threshold

    def check(self) -> None:
        """Load the encoder."""
        self._encoder.encode(["."])

    def same(self, questions: Sequence[AskedSameness]) -> Iterator[Any]:
        """By the cosine of the answers alone: a question before them would make them all alike."""
        texts = [text for q in questions for text in q.texts]
        if not texts:
            texts = ["."]
        vectors = np.asarray(self._encoder.encode(texts), dtype=np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for part in _parts(vectors, questions):
            yield part @ part.T >= self._threshold


class ByEntailment:
    """Answers that entail each other, both ways, as a cross-encoder for natural language inference has it.

    Args:
        name: of the model, on the hub or in a folder.
        device: of it.
    """

    def __init__(self, name: str = ENTAILMENT, device: str | None = None) -> None:
        self._name, self._device = name, device
        self._known: dict[tuple[str, str], bool] = {}
        self._model: Any = None

    def check(self) -> None:
        """Load the model, and find its label of entailment."""
        self._model = _cross_encoder(self._name, there(self._device))
        self._entailment()

    def same(self, questions: Sequence[AskedSameness]) -> Iterator[Any]:
        """Each pair of different answers is asked once, in either order, after the end of the question."""
        pairs = [
            (f"{end_of(q.question)} {a}", f"{end_of(q.question)} {b}")
            for q in questions
            for a, b in permutations(q.texts, 2)
        ]
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self._known]
        log.info("semantic entropy: %d entailments (%d known).", len(pairs), len(pairs) - len(new))
        if new:
            self._known |= dict(zip(new, self._entails(new), strict=True))
        rest = iter([self._known[pair] for pair in pairs])
        for q in questions:
            entails = np.eye(len(q.texts), dtype=bool)
            for i, j in permutations(range(len(q.texts)), 2):
                entails[i, j] = next(rest)
            yield entails & entails.T

    def _entails(self, pairs: Sequence[tuple[str, str]]) -> list[bool]:
        if self._model is None:
            self.check()
        found = self._model.predict(list(pairs), batch_size=64, show_progress_bar=False)
        label = self._entailment()
        return [bool(row == label) for row in np.asarray(found).argmax(axis=1)]

    def _entailment(self) -> int:
        """The number of the label.

        Raises:
            InvalidInputError: there is none, or no other.
        """
        labels = self._model.config.id2label
        names = {int(i): str(name).lower() for i, name in labels.items()}
        found = [i for i, name in names.items() if "entail" in name and "not" not in name]
        if not found or len(names) < 2:
            raise invalid(
                "nli", "a model with a label `entailment` and others", f"`{self._name}` ({', '.join(map(str, labels.values()))})",
            )  # fmt: skip
        return found[0]


class ByModel:
    """Answers of which the wrapper's own base says that they say the same.

    Args:
        wrapper: whose base is asked.
    """

    def __init__(self, wrapper: BeliefWrapper) -> None:
        self._wrapper = wrapper

    def check(self) -> None:
        """The base can be asked."""

    def same(self, questions: Sequence[AskedSameness]) -> Iterator[Any]:
        """Each pair of different answers is asked once."""
        pairs = [(q, i, j) for q in questions for i, j in combinations(range(len(q.texts)), 2)]
        log.info("semantic entropy: %d pairs of answers are judged.", len(pairs))
        asked = [
            Question(
                self._wrapper.prompt(q.request, template=SAME, first=q.texts[i], second=q.texts[j]),
                q.request,
                REPLY,
            )
            for q, i, j in pairs
        ]
        said = (
            self._wrapper.ask(asked, "asking which answers say the same", tolerant=True)
            if asked
            else []
        )
        words = [_yes(text) for (text,) in said]
        unread = sum(word is None for word in words)
        if unread:
            log.warning(
                "%d of %d replies are neither yes nor no; they are taken for no.",
                unread,
                len(words),
            )
        rest = iter(words)
        for q in questions:
            same = np.eye(len(q.texts), dtype=bool)
            for i, j in combinations(range(len(q.texts)), 2):
                same[i, j] = bool(next(rest))
            yield same | same.T


def clusters(judge: Judge, questions: Sequence[AskedSameness]) -> list[tuple[int, ...]]:
    """Of each question's answers the numbers of their clusters."""
    return [q.clusters(same) for q, same in zip(questions, judge.same(questions), strict=True)]


def end_of(question: str) -> str:
    """The last words of a question, so that what answers it is not cut off behind it.

    >>> len(end_of("word " * 500)), end_of("Who was it?")
    (299, 'Who was it?')
    """
    text = question.strip()
    if len(text) <= LONGEST:
        return text
    return text[-LONGEST:].partition(" ")[2]


def _parts(rows: Any, questions: Sequence[AskedSameness]) -> Iterator[Any]:
    start = 0
    for q in questions:
        yield rows[start : start + len(q.texts)]
        start += len(q.texts)


def _yes(reply: str) -> bool | None:
    """What a reply begins with."""
    found = re.match(r"\W*(yes|no)\b", spoken(str(reply)).text, re.IGNORECASE)
    return None if found is None else found.group(1).lower() == "yes"


def _cross_encoder(name: str, device: str | None) -> Any:
    try:
        from sentence_transformers import CrossEncoder
    except ImportError:
        raise MissingExtraError(
            "Entailment is judged by sentence-transformers: pip install 'lm-eval-calibration[fractal]'."
        ) from None
    try:
        return CrossEncoder(name, device=device, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise invalid(
            "nli",
            "a cross-encoder for natural language inference, on the hub or in a folder",
            f"`{name}` ({type(error).__name__}: {str(error)[:200]})",
            "Without one: judge=embeddings, judge=model or judge=filter.",
        ) from error


def check_judge(judge: str, threshold: float) -> None:
    """Raise an InvalidInputError for what cannot be."""
    if judge not in JUDGES:
        raise invalid("judge", ", ".join(JUDGES), f"`{judge}`")
    if not -1 <= threshold <= 1:
        raise invalid("threshold", "a cosine, from -1 to 1", threshold)
