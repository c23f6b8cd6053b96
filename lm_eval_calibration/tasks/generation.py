"""`GenerationTask`: a generation task of the harness that also judges what the model believed."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from lm_eval_calibration.conversation import Conversation
from lm_eval_calibration.envelope import Envelope
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.tasks import Answered
from lm_eval_calibration.harness.tasks import GeneratingTask as Generating
from lm_eval_calibration.messages import logger
from lm_eval_calibration.metrics.table import BoundMetric, bind
from lm_eval_calibration.normalisation import PLAIN
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.tasks.base import DocumentRows, Twin
from lm_eval_calibration.tasks.judging import (
    Judged,
    equality,
    is_none,
    judging_metric,
    labelled,
    nothing_found,
)
from lm_eval_calibration.tasks.pool import (
    DIRECTIONS,
    POOL_AGGREGATIONS,
    UNANSWERED,
    cut_rows,
    pool_rows,
    said_rows,
)
from lm_eval_calibration.tasks.unpacking import Unpacked, unpacked
from lm_eval_calibration.told import Example, Told

log = logger(__name__)

ANSWER_METRICS = ("ece", "ece_null", "ace", "mce", "auroc", "aurc", "prr")
"""Of a stated confidence and whether the answer is right; of a score those that see its order alone."""
EXAMPLES = 4
"""Solved documents that a request carries, for a wrapper that shows some."""


class GenerationTask(Twin, Generating):
    """A generation task of the harness with calibration metrics beside its own.

    Prompts and the upstream filters and metrics are the parent class's. Responses are envelopes of
    a model that states beliefs (`--model self_consistency`, `p_true`, `self_correct`): the upstream
    metrics are those of the answer. The first of them that scores each document by a number judges
    every candidate too; it stands in the results as `judged_by`. What it does not judge, and what
    the filters could not find, is no answer: wrong, and agreeing with nothing. Of a model that states
    no beliefs there are the upstream metrics alone.

    Raises:
        InvalidInputError: another output type; a metric that needs probabilities of options; no
            metric that could judge.
    """

    for_output_type = "generate_until"
    _of_degree = False
    """Whether the judging metric scored an answer between 0 and 1."""

    def settle(self) -> None:
        """Fix the metric that judges.

        Raises:
            InvalidInputError: there is none.
        """
        self.judged_by = judging_metric(self.mean_names, self.metric_names)
        if self.judged_by is None:
            raise InvalidInputError(
                f"Task `{self.config.task}`: none of its metrics ("
                f"{', '.join(self.metric_names) or 'none'}) scores each document by a number, so its "
                f"answers cannot be judged. Run `{self._twin_of or self.config.task}` instead."
            )
        self.config.metadata = {**(self.config.metadata or {}), "judged_by": self.judged_by}
        if impossible := [b.name for b in self.calibration_metrics if not self.can_have(b)]:
            raise InvalidInputError(
                f"Task `{self.config.task}`: `{impossible[0]}` reads the probabilities of options, and a "
                f"generated answer has one confidence. Take of {', '.join(ANSWER_METRICS)}."
            )

    def default_metrics(self) -> list[BoundMetric]:
        """Those of confidences."""
        return [bind(name) for name in ANSWER_METRICS]

    def can_have(self, metric: BoundMetric) -> bool:
        """Whether it reads no more than a confidence and a verdict."""
        return not metric.metric.family.needs_options and metric.normalisation == PLAIN

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Those of pools."""
        return dict(POOL_AGGREGATIONS)

    def other_directions(self) -> dict[str, bool | None]:
        """Those of pools."""
        return dict(DIRECTIONS)

    def tells(self, doc: dict[str, Any], conversation: Conversation) -> Told:
        """Solved examples, too."""
        return replace(super().tells(doc, conversation), examples=self._examples())

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
        unpacked_ones = self.unpacked(envelopes)
        self._of_degree = any(
            one.score not in (0, 1) for found in unpacked_ones for one in found.values()
        )
        for instance, found in zip(instances, unpacked_ones, strict=True):
            for name, value in found.items():
                self.hand_over(instance, name, value)
        return None

    def unpacked(self, envelopes: Sequence[Envelope]) -> list[dict[str, Unpacked]]:
        """What each request's envelope comes to, by filter."""
        texts = [_texts(envelope) for envelope in envelopes]
        shadows = [
            _shadow(instance, text)
            for instance, mine in zip(self._instances, texts, strict=True)
            for text in mine
        ]
        self.filter_all(shadows)
        nothing = self._nothing(self._instances)
        rest = iter(shadows)
        found = []
        for i, (instance, envelope, mine) in enumerate(
            zip(self._instances, envelopes, texts, strict=True)
        ):
            filtered = [self.filtered(next(rest)) for _ in mine]
            found.append(
                {
                    name: unpacked(
                        envelope,
                        self._judged(
                            instance.doc, [each[name] for each in filtered], nothing[name][i], name
                        ),
                    )
                    for name in filtered[0]
                }
            )
        return found

    def _nothing(self, instances: Sequence[Any]) -> Mapping[str, list[object]]:
        """By filter, what it makes of no text, for each document."""
        docs = [instance.doc for instance in instances]
        unknown: dict[str, list[object]] = defaultdict(lambda: [None] * len(docs))
        empty = [_shadow(instance, "") for instance in instances]
        try:
            self.filter_all(empty)
        except Exception as error:  # noqa: BLE001 - a task's own filter, of a text that nobody said
            log.debug("The filters of `%s` read no empty text: %r", self.config.task, error)
            return unknown
        for name in self.filtered(empty[0]):
            made = [self.filtered(each)[name] for each in empty]
            judging = self.calibration_metrics != []
            score = functools.partial(self._score, filter_name=name)
            unknown[name] = nothing_found(score, docs, made) if judging else made
        return unknown

    def _judged(self, doc: Any, values: Sequence[Any], nothing: object, filter_name: str) -> Judged:
        scores = [self._score(doc, value, filter_name) for value in values]
        answered = [
            score is not None and not is_none(value, nothing)
            for value, score in zip(values, scores, strict=True)
        ]
        labels = labelled(values, answered, self._equal())
        return Judged(tuple(values), tuple(score or 0.0 for score in scores), labels)

    def _score(self, doc: Any, value: Any, filter_name: str) -> float | None:
        """By the judging metric; `None` where the task does not judge it."""
        if not self.calibration_metrics:  # (nothing is scored, as with --predict_only)
            return 0.0
        found = self.upstream_of(doc, value, filter_name).get(str(self.judged_by))
        return float(found) if isinstance(found, (int, float, np.number)) else None

    def _equal(self) -> Callable[[Any, Any], bool]:
        name = str(self.judged_by)
        found: Callable[[Any, Any], bool] = equality(name, *self.metric_function(name))
        return found

    def document(self, answered: Answered) -> dict[str, Any]:
        """The upstream metrics of the answer, and rows of its confidence and of the pool."""
        results = answered.results
        if not results or not isinstance(results[0], Unpacked):
            return answered.upstream(results)
        found = results[0]
        upstream = answered.upstream([found.answer])
        if not self.calibration_metrics:
            return upstream
        labels = found.pool.labels or ((0,) if found.answered else (None,))
        rows = {
            **upstream,
            **self._confidence_rows(found),
            **pool_rows(
                found.pool.scores,
                found.pool.labels,
                found.envelope.picks,
                found.envelope.flags,
                found.envelope.beliefs,
            ),
            UNANSWERED: labels.count(None) / len(labels),
            **said_rows(found.envelope),
            **cut_rows(found.envelope.cut),
        }
        return DocumentRows(rows, {"envelopes": self._logged(found)})

    def _logged(self, found: Unpacked) -> dict[str, Any]:
        """Everything that was said, and what each candidate scored."""
        told = {name: _listed(value) for name, value in asdict(found.envelope).items()}
        del told["answer"]
        return {
            **told,
            "confidence": found.confidence,
            "score": found.stated,
            "told": dict(found.told),
            "answered": found.answered,
            "filtered": [str(value) for value in found.pool.values],
            "answers": _listed(found.pool.labels),
            "scores": _listed(found.pool.scores),
            "sentence_scores": told["scores"],
        }

    def _confidence_rows(self, found: Unpacked) -> dict[str, Any]:
        if found.confidence is None and found.stated is None:
            return {}
        if self._of_degree:
            self.warn(
                f"`{self.judged_by}` scores answers between 0 and 1, so none is plainly right or "
                "wrong, and confidences are not judged"
            )
            return {}
        right = found.answered and found.score == 1
        if found.confidence is None:
            ranking = [b for b in self.calibration_metrics if b.metric.ranks and not b.null]
            return {b.name: [found.stated, int(right)] for b in ranking}
        predictions = Predictions.from_confidences([found.confidence], [right])
        return {b.name: b.rows(predictions)[0] for b in self.calibration_metrics}

    def _examples(self) -> tuple[Example, ...]:
        """(question, answer, document) of a few to learn from, where there are any."""
        if not hasattr(self, "_solved"):
            docs = list(self.example_docs() or ())[:EXAMPLES]
            self._solved = tuple((str(self.doc_to_text(d)), self._target(d), d) for d in docs)
        return self._solved

    def _target(self, doc: dict[str, Any]) -> str:
        target = self.doc_to_target(doc)
        return str(target[0] if isinstance(target, list) and target else target)


def _texts(envelope: Envelope) -> list[str]:
    """What the filters are to see: the answer, unless it is left open, and the candidates."""
    answer = [] if envelope.answer is None else [envelope.answer]
    return [*answer, *envelope.candidates]


def _listed(value: Any) -> Any:
    """Tuples as lists, as the log has them."""
    return [_listed(each) for each in value] if isinstance(value, tuple) else value


def _shadow(instance: Any, text: str) -> Any:
    """The instance as if `text` were its only response."""
    shadow = copy.copy(instance)
    shadow.resps, shadow.filtered_resps = [text], {}
    return shadow
