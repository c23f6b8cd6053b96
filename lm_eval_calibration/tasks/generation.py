"""`GenerationTask`: a generation task of the harness that also judges what the model believed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.pool import weightiest_answer
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.tasks.base import DocumentRows, Twin
from lm_eval_calibration.tasks.pool import DIRECTIONS, POOL_AGGREGATIONS, pool_rows, said_rows

METRICS = ("ece", "ece_null", "ace", "mce", "auroc", "aurc")
"""Of a stated confidence and whether the answer is right."""
EXAMPLES = 4
"""Solved documents that a request carries, for a wrapper that shows some."""


@dataclass(frozen=True)
class Unpacked:
    """One envelope under one of the task's filters.

    Attributes:
        envelope: as the wrapper made it.
        answer: the answer as the filter leaves it.
        candidates: the pool likewise.
        confidence: as stated, or what speaks for the answer among the candidates.
    """

    envelope: Envelope
    answer: Any
    candidates: tuple[Any, ...]
    confidence: float | None

    def __str__(self) -> str:
        return str(self.answer)  # which is what the harness logs


class GenerationTask(Twin):
    """A generation task of the harness with calibration metrics beside its own.

    Prompts and the upstream filters and metrics are the parent class's. Responses are envelopes of
    a model that states beliefs (`--model self_consistency`, `p_true`, `self_correct`): the upstream
    metrics are those of the answer, and the first of them also judges every candidate. Of a model
    that states none there are the upstream metrics alone.

    Raises:
        InvalidInputError: another output type; a metric that needs probabilities of options.
    """

    for_output_type = "generate_until"

    def default_metrics(self) -> list[BoundMetric]:
        """Those of confidences."""
        return [bind(name) for name in METRICS]

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Those of pools."""
        return dict(POOL_AGGREGATIONS)

    def other_directions(self) -> dict[str, bool | None]:
        """Those of pools."""
        return dict(DIRECTIONS)

    def construct_requests(self, doc: dict[str, Any], ctx: str, **kwargs: Any) -> Any:
        """The harness's request, with the bare question and solved examples for a wrapper."""
        request = super().construct_requests(doc, ctx, **kwargs)
        request.question = str(self.doc_to_text(doc))
        request.examples = self._examples()
        return request

    def apply_filters(self) -> Any:
        """The task's filters over every candidate, each as if it were the only response."""
        instances = self._instances
        read = [Envelope.from_text(instance.resps[0]) for instance in instances]
        envelopes = [envelope for envelope in read if envelope is not None]
        if not envelopes:
            self.warn(
                "the model states no confidence in what it generates (or --use_cache holds answers "
                "of one that does not), so there are the task's own metrics alone"
            )
            return super().apply_filters()
        if len(envelopes) < len(read):
            raise InvalidInputError(
                f"Task `{self.config.task}`: some responses are envelopes and some are not. Was "
                "the cache made with another model? Use another --use_cache."
            )
        texts = [_texts(envelope) for envelope in envelopes]
        shadows = [
            _shadow(instance, text)
            for instance, mine in zip(instances, texts, strict=True)
            for text in mine
        ]
        for ensemble in self._filters:
            ensemble.apply(shadows)
        rest = iter(shadows)
        for instance, envelope, mine in zip(instances, envelopes, texts, strict=True):
            filtered = [next(rest).filtered_resps for _ in mine]
            for name in filtered[0]:
                values = [each[name] for each in filtered]
                instance.filtered_resps[name] = _unpacked(envelope, values)
        return None

    def process_results(self, doc: dict[str, Any], results: Sequence[Any]) -> dict[str, Any]:
        """The upstream metrics of the answer, and rows of its confidence and of the pool."""
        if not results or not isinstance(results[0], Unpacked):
            return super().process_results(doc, results)
        found = results[0]
        upstream = super().process_results(doc, [found.answer])
        if not self.calibration_metrics:
            return upstream
        name = self._judging_metric(upstream)
        if name is None:
            self.warn(
                "none of its metrics scores a single document by a number, so its confidences and "
                "candidates cannot be judged"
            )
            return upstream
        scores = [
            super(GenerationTask, self).process_results(doc, [c])[name] for c in found.candidates
        ]
        rows = {
            **upstream,
            **self._confidence_rows(found.confidence, upstream[name], name),
            **pool_rows([float(s) for s in scores], found.candidates, found.envelope.picks),
            **said_rows(found.envelope),
        }
        return DocumentRows(rows, {"envelopes": self._logged(found, scores)})

    def _logged(self, found: Unpacked, scores: Sequence[Any]) -> dict[str, Any]:
        """Everything that was said, and what each candidate scored."""
        e = found.envelope
        return {
            "source": e.source,
            "confidence": found.confidence,
            "candidates": list(e.candidates),
            "filtered": [str(c) for c in found.candidates],
            "scores": [float(s) for s in scores],
            "picks": list(e.picks),
            "beliefs": list(e.beliefs),
            "said": list(e.said),
            "orders": [list(order) for order in e.orders],
            "flags": list(e.flags),
            "sentences": list(e.sentences),
            "sentence_scores": list(e.scores),
        }

    def _confidence_rows(self, confidence: float | None, value: Any, name: str) -> dict[str, Any]:
        if confidence is None:
            return {}
        if value not in (0, 1):
            self.warn(
                f"`{name}` scores answers between 0 and 1, so none is plainly right or wrong, and "
                "confidences are not judged"
            )
            return {}
        predictions = Predictions.from_confidences([confidence], [bool(value)])
        return {b.name: b.rows(predictions)[0] for b in self.calibration_metrics}

    def _judging_metric(self, upstream: Mapping[str, Any]) -> str | None:
        """The first of the task's metrics that is a number for each document."""
        listed = [
            m["metric"] for m in self.config.metric_list or () if isinstance(m["metric"], str)
        ]
        for name in (*listed, *upstream):
            if isinstance(upstream.get(name), (int, float)):
                return name
        return None

    def _examples(self) -> tuple[tuple[str, str, Any], ...]:
        """(question, answer, document) of a few to learn from, where there are any."""
        if not hasattr(self, "_solved"):
            there = self.config.fewshot_split or self.has_training_docs()
            docs = list(self.fewshot_docs() or ())[:EXAMPLES] if there else []
            self._solved = tuple((str(self.doc_to_text(d)), self._target(d), d) for d in docs)
        return self._solved

    def _target(self, doc: dict[str, Any]) -> str:
        target = self.doc_to_target(doc)
        return str(target[0] if isinstance(target, list) and target else target)


def _texts(envelope: Envelope) -> list[str]:
    """What the filters are to see: the answer, unless it is left open, and the candidates."""
    answer = [] if envelope.answer is None else [envelope.answer]
    return [*answer, *envelope.candidates]


def _shadow(instance: Any, text: str) -> Any:
    """The instance as if `text` were its only response."""
    shadow = copy.copy(instance)
    shadow.resps, shadow.filtered_resps = [text], {}
    return shadow


def _unpacked(envelope: Envelope, values: list[Any]) -> Unpacked:
    if envelope.answer is not None:
        return Unpacked(envelope, values[0], tuple(values[1:]), envelope.confidence)
    weights = _weights(envelope)
    answer, weight = weightiest_answer(values, weights)
    one_pick = len(envelope.picks) == 1 and not envelope.beliefs
    return Unpacked(envelope, values[answer], tuple(values), None if one_pick else min(weight, 1.0))


def _weights(envelope: Envelope) -> list[float]:
    """What speaks for each candidate; picks that name none speak for none."""
    count = len(envelope.candidates)
    if envelope.beliefs:
        return list(envelope.beliefs)
    if envelope.picks:
        return [envelope.picks.count(i) / len(envelope.picks) for i in range(count)]
    return [1 / count] * count
