"""`SentenceTask`: sentences of given responses are scored, and their labels are known."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.harness.tasks import Answered, GeneratingTask
from lm_eval_calibration.json_text import loads
from lm_eval_calibration.metrics.resampling import REPLICATES, SEED, replicates_of
from lm_eval_calibration.metrics.sentences import FIGURES, scored, spread
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.tasks.base import DocumentRows, Twin
from lm_eval_calibration.told import Told

SENTENCE_METRICS = ("ece", "ece_null", "auroc", "aurc")
"""Of the confidence in the whole response."""
FIRST = (
    "first_error_acc",
    "first_error_acc_wrong",
    "first_error_acc_right",
    "first_error_f1",
)
SENTENCES, LABELS = "sentences", "sentence_labels"
"""Of a document."""
AGGREGATES: dict[str, Callable[..., float]] = {"min": min, "max": max}


class SentenceAggregation:
    """Pools (score, label) pairs of documents' sentences; an entry of `aggregation()`."""

    def __init__(self, name: str) -> None:
        self.__name__ = name  # the harness prints it

    def __call__(self, rows: Sequence[Any]) -> float:
        """Over the sentences of all documents."""
        return float(FIGURES[self.__name__][0](scored(rows)))

    def stderr(self, rows: Sequence[Any], replicates: int = REPLICATES) -> float | str:
        """By the bootstrap over documents; "N/A" where there is none."""
        count = replicates_of(replicates)
        stderr = spread(self.__name__, scored(_in_order(rows)), count).stderr
        return stderr if math.isfinite(stderr) else "N/A"


def _in_order(rows: Sequence[Any]) -> list[Any]:
    """The same in every run: processes hand in their documents one after another."""
    return sorted(rows, key=repr)


class FirstErrorAggregation:
    """Pools whether the first wrong sentence was found; an entry of `aggregation()`.

    Rows are pairs: found, and whether there is a wrong sentence at all. `_wrong` and `_right` are
    shares of the responses with and without one, `_f1` their harmonic mean (ProcessBench's).
    """

    def __init__(self, name: str) -> None:
        self.__name__ = name  # the harness prints it

    def __call__(self, rows: Sequence[Any]) -> float:
        """Over all documents; NaN where there are none of the kind."""
        hit, wrong = np.asarray(rows, dtype=np.float64).T
        shares = [float(part.mean()) if len(part) else math.nan for part in (
            hit, hit[wrong == 1], hit[wrong == 0]
        )]  # fmt: skip
        both = shares[1] + shares[2]
        f1 = 2 * shares[1] * shares[2] / both if both else 0.0
        return dict(zip(FIRST, (*shares, f1), strict=True))[self.__name__]

    def stderr(self, rows: Sequence[Any], replicates: int = REPLICATES) -> float | str:
        """By the bootstrap over documents; "N/A" where there is none."""
        table = np.asarray(_in_order(rows))
        rng = np.random.default_rng(SEED)
        drawn = [
            self(list(table[rng.integers(len(table), size=len(table))]))
            for _ in range(replicates_of(replicates))
        ]
        found = np.array(drawn)[np.isfinite(drawn)]
        return float(found.std(ddof=1)) if len(found) > 1 and math.isfinite(self(rows)) else "N/A"


class SentenceTask(Twin, GeneratingTask):
    """A task whose documents are responses that were cut into sentences, with a label for each.

    For `--model fractal-scorer`. `doc_to_text` is the question. A document has `sentences` (texts)
    and `sentence_labels` (1 for right, 0 for wrong, null where unknown), which `process_docs` may
    add; `metadata.aggregate` says how a response's label follows from them: `min` (the default) or
    `max`.

    Raises:
        InvalidInputError: another output type, a metric that is none, or another aggregate.
    """

    for_output_type = "generate_until"
    scores_itself = True

    @functools.cached_property
    def _aggregate(self) -> Callable[..., float]:
        told = (self.config.metadata or {}).get("aggregate", "min")
        if told not in AGGREGATES:
            raise invalid("metadata.aggregate", " or ".join(AGGREGATES), f"`{told}`")
        return AGGREGATES[told]

    def default_metrics(self) -> list[BoundMetric]:
        """Those of confidences in responses."""
        return [bind(name) for name in SENTENCE_METRICS]

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Of sentences, and of the first wrong one."""
        found: dict[str, Callable[[Sequence[Any]], Any]] = {
            name: SentenceAggregation(name) for name in FIGURES
        }
        if self._aggregate is min:
            found |= {name: FirstErrorAggregation(name) for name in FIRST}
        return found

    def other_directions(self) -> dict[str, bool | None]:
        """Which way is better."""
        directions: dict[str, bool | None] = {name: up for name, (_, up) in FIGURES.items()}
        return {**directions, **dict.fromkeys(FIRST, True)}

    def doc_to_target(self, doc: dict[str, Any], doc_to_target: Any = None) -> Any:
        """The labels of its sentences."""
        return labels_of(doc)

    def tells(self, doc: dict[str, Any], conversation: Conversation) -> Told:
        """The sentences, too."""
        sentences = tuple(str(text) for text in doc[SENTENCES])
        return replace(super().tells(doc, conversation), sentences=sentences)

    def document(self, answered: Answered) -> dict[str, Any]:
        """Rows of one response and its sentences."""
        doc = answered.doc
        confidence, scores = self._read(doc, answered.results[0])
        labels = labels_of(doc)
        known = [label for label in labels if not math.isnan(label)]
        right = bool(self._aggregate(known)) if known else True
        p = Predictions.from_confidences([confidence], [right])
        rows = {b.name: b.rows(p)[0] for b in self.calibration_metrics}
        pairs = [list(pair) for pair in zip(scores, labels, strict=True)]
        rows |= dict.fromkeys(FIGURES, pairs)
        if self._aggregate is min:
            rows |= dict.fromkeys(FIRST, first_error_row(scores, labels))
        logged = {"confidence": confidence, "scores": scores, "labels": labels}
        return DocumentRows(rows, {"sentences": logged})

    def _read(self, doc: Mapping[str, Any], response: Any) -> tuple[float, list[float]]:
        try:
            told = loads(response)
            confidence, scores = float(told["confidence"]), [float(x) for x in told["scores"]]
        except (ValueError, TypeError, KeyError, OverflowError):
            raise InvalidInputError(
                f"Task `{self.config.task}` needs a model that scores sentences: --model "
                "fractal-scorer --model_args scorer=FOLDER."
            ) from None
        if len(scores) != len(doc[SENTENCES]):
            raise InvalidInputError(
                f"Task `{self.config.task}`: {len(scores)} scores for {len(doc[SENTENCES])} "
                "sentences."
            )
        return confidence, scores


def first_error_row(scores: Sequence[float], labels: Sequence[float]) -> list[float]:
    """Whether the first wrong sentence is found, and whether there is one.

    Found is the likeliest place: sentence k with all before it right, p_1 ... p_(k-1) (1 - p_k), or
    none at all, p_1 ... p_n.

    >>> first_error_row([0.9, 0.2, 0.1], [1, 0, math.nan])
    [1.0, 1.0]
    """
    p = np.asarray(scores, dtype=np.float64)
    before = np.cumprod(np.r_[1.0, p])
    found = int(np.argmax(np.r_[before[-1], before[:-1] * (1 - p)])) - 1
    wanted = next((i for i, label in enumerate(labels) if label == 0), -1)
    return [float(found == wanted), float(wanted >= 0)]


def labels_of(doc: Mapping[str, Any]) -> list[float]:
    """1, 0, or NaN where unknown, for each sentence of a document."""
    return [math.nan if label is None else float(label) for label in doc[LABELS]]


def processbench(dataset: Any) -> Any:
    """ProcessBench: steps before the first wrong one are right, those after it unknown."""
    return dataset.map(
        lambda doc: {SENTENCES: doc["steps"], LABELS: until(len(doc["steps"]), doc["label"])}
    )


def felm(dataset: Any) -> Any:
    """FELM: segments, and whether each is free of errors; without responses that were not cut up."""
    cut = dataset.filter(lambda doc: len(doc["segmented_response"]) > 0)
    return cut.map(
        lambda doc: {SENTENCES: doc["segmented_response"], LABELS: [int(x) for x in doc["labels"]]}
    )


def until(steps: int, first_wrong: int) -> list[int | None]:
    """Labels of steps, of which the first wrong one is known (-1: none is wrong).

    >>> until(3, 1), until(2, -1)
    ([1, 0, None], [1, 1])
    """
    if first_wrong < 0:
        return [1] * steps
    return [1] * first_wrong + [0] + [None] * (steps - first_wrong - 1)
