"""`SentenceTask`: sentences of given responses are scored, and their labels are known."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.metrics import mean

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.metrics.resampling import REPLICATES
from lm_eval_calibration.metrics.sentences import FIGURES, scored, spread
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.tasks.base import DocumentRows, Twin

METRICS = ("ece", "ece_null", "auroc", "aurc")
"""Of the confidence in the whole response."""
FIRST = ("first_error_acc", "first_error_acc_wrong", "first_error_acc_right")
THRESHOLD = 0.5
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
        count = max(2, min(replicates, REPLICATES))
        stderr = spread(self.__name__, scored(rows), count).stderr
        return stderr if math.isfinite(stderr) else "N/A"


class SentenceTask(Twin):
    """A task whose documents are responses that were cut into sentences, with a label for each.

    For `--model fractal-scorer`. `doc_to_text` is the question. A document has `sentences` (texts)
    and `sentence_labels` (1 for right, 0 for wrong, null where unknown), which `process_docs` may
    add; `metadata.aggregate` says how a response's label follows from them: `min` (the default) or
    `max`.

    Raises:
        InvalidInputError: another output type, a metric that is none, or another aggregate.
    """

    for_output_type = "generate_until"

    def __init__(
        self,
        data_dir: str | None = None,
        cache_dir: str | None = None,
        download_mode: Any = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        told = dict((config or {}).get("metadata") or {}).get("aggregate", "min")
        if told not in AGGREGATES:
            raise invalid("metadata.aggregate", " or ".join(AGGREGATES), f"`{told}`")
        self._aggregate = AGGREGATES[told]
        super().__init__(data_dir, cache_dir, download_mode, config)

    def default_metrics(self) -> list[BoundMetric]:
        """Those of confidences in responses."""
        return [bind(name) for name in METRICS]

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Of sentences, and of the first wrong one."""
        return {**{n: SentenceAggregation(n) for n in FIGURES}, **dict.fromkeys(FIRST, mean)}

    def other_directions(self) -> dict[str, bool | None]:
        """Which way is better."""
        return {**{n: up for n, (_, up) in FIGURES.items()}, **dict.fromkeys(FIRST, True)}

    def doc_to_target(self, doc: dict[str, Any], doc_to_target: Any = None) -> Any:
        """The labels of its sentences."""
        return labels_of(doc)

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> Any:
        """A request that carries the question and the sentences."""
        request = super().construct_requests(doc, ctx, **kwargs)
        request.question = str(self.doc_to_text(doc))
        request.sentences = [str(text) for text in doc[SENTENCES]]
        return request

    def process_results(self, doc: dict[str, Any], results: Sequence[Any]) -> dict[str, Any]:
        """Rows of one response and its sentences."""
        confidence, scores = self._read(doc, results[0])
        labels = labels_of(doc)
        known = [label for label in labels if not math.isnan(label)]
        right = bool(self._aggregate(known)) if known else True
        p = Predictions.from_confidences([confidence], [right])
        rows = {b.name: b.rows(p)[0] for b in self.calibration_metrics}
        pairs = [list(pair) for pair in zip(scores, labels, strict=True)]
        rows |= dict.fromkeys(FIGURES, pairs)
        if self._aggregate is min:
            rows |= first_error_rows(scores, labels)
        logged = {"confidence": confidence, "scores": scores, "labels": labels}
        return DocumentRows(rows, {"sentences": logged})

    def _read(self, doc: Mapping[str, Any], response: Any) -> tuple[float, list[float]]:
        try:
            told = json.loads(response)
            confidence, scores = float(told["confidence"]), [float(x) for x in told["scores"]]
        except (ValueError, TypeError, KeyError):
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


def first_error_rows(scores: Sequence[float], labels: Sequence[float]) -> dict[str, float]:
    """Whether the first sentence below a half is the first wrong one (or there is neither).

    `first_error_acc`, and apart for responses with a wrong sentence and without.

    >>> first_error_rows([0.9, 0.3, 0.2], [1, 0, math.nan])
    {'first_error_acc': 1.0, 'first_error_acc_wrong': 1.0}
    """
    found = next((i for i, score in enumerate(scores) if score < THRESHOLD), -1)
    wanted = next((i for i, label in enumerate(labels) if label == 0), -1)
    hit = float(found == wanted)
    return {"first_error_acc": hit, FIRST[2] if wanted < 0 else FIRST[1]: hit}


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
