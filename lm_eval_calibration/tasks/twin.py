"""`CalibrationTask`: a harness task that also says how far the model's beliefs can be trusted."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.table import DEFAULT_METRICS, BoundMetric, bind
from lm_eval_calibration.predictions import Predictions, length_normalised
from lm_eval_calibration.stated import statement_of
from lm_eval_calibration.tasks import stated
from lm_eval_calibration.tasks.base import DocumentRows, Twin
from lm_eval_calibration.tasks.gold import gold_indices
from lm_eval_calibration.tasks.uncertainty import AGGREGATIONS, uncertainty_rows

Response = tuple[float, bool]


class CalibrationTask(Twin):
    """A multiple-choice task of the harness with calibration metrics beside its own.

    Prompts, requests and the upstream metrics are the parent class's, untouched. Use it in any
    multiple-choice YAML:

        class: !function lm_eval_calibration.CalibrationTask
        metric_list:
          - metric: acc
          - metric: ece
            num_bins: 10

    A `metric_list` that names none of our metrics gets `DEFAULT_METRICS`, and their `_norm`
    versions where the task reports `acc_norm`.

    Raises:
        InvalidInputError: not multiple choice; an unknown metric or option; a metric named twice.
    """

    for_output_type = "multiple_choice"

    def default_metrics(self) -> list[BoundMetric]:
        """`DEFAULT_METRICS`, plain and, if asked for, length-normalised."""
        suffixes = ("", "_norm") if "acc_norm" in self._metric_fn_list else ("",)
        return [bind(name + suffix) for suffix in suffixes for name in DEFAULT_METRICS]

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Of the uncertainties of several draws, and of beliefs that were stated in words."""
        return {**AGGREGATIONS, **stated.aggregations(self.calibration_metrics)}

    def other_directions(self) -> dict[str, bool | None]:
        """Those of beliefs that were stated in words."""
        return stated.directions(self.calibration_metrics)

    def process_results(self, doc: dict[str, Any], results: Sequence[Response]) -> dict[str, Any]:
        """The upstream metrics of one document, and one small row for each of ours."""
        upstream = super().process_results(doc, results)
        if not self.calibration_metrics:
            return upstream
        options = self.doc_to_choice(doc)
        try:
            gold = gold_indices(self, doc, options)
            beliefs = _Beliefs([r[0] for r in results[: len(options)]], options, gold)
            rows = {b.name: beliefs.row(b) for b in self.calibration_metrics}
        except InvalidInputError as error:
            raise InvalidInputError(self._explain(error, doc, options)) from error
        self._warn_about_gold(gold, beliefs, upstream)
        found = {**upstream, **rows, **uncertainty_rows(results[: len(options)])}
        statement = statement_of(results)
        if statement is None:
            return found
        correct = bool(beliefs.raw.correct[0])
        said = stated.stated_rows(statement, gold, correct, rows)
        return DocumentRows({**found, **said}, {stated.LOGGED: statement.as_logged()})

    def _explain(self, error: InvalidInputError, doc: dict[str, Any], options: list[str]) -> str:
        """Where a bad response or answer key came from: task, document, options."""
        doc_id = next((i.doc_id for i in self.instances or () if i.doc == doc), "unknown")
        return f"Task `{self.config.task}`, document {doc_id}: {error} Options, from 0: {options}."

    def _warn_about_gold(
        self, gold: list[int], beliefs: _Beliefs, upstream: Mapping[str, Any]
    ) -> None:
        """Say once that an answer key is missing, or that the task's `acc` reads another one."""
        if not gold:
            self.warn(
                "at least one document's answer key names none of its options. Such documents "
                "count as wrong, as in `acc`, and are left out of `nll` and `brier`"
            )
        elif callable(self.config.process_results) and upstream.get("acc") == (
            not beliefs.raw.correct[0]
        ):
            self.warn(
                "its own `process_results` calls an answer right or wrong where "
                "`doc_to_target` says otherwise: its calibration metrics follow the latter"
            )


class _Beliefs:
    """One document's predictions, raw and length-normalised, and the rows that metrics share."""

    def __init__(self, loglikelihoods: list[float], options: list[str], gold: list[int]) -> None:
        self._lls, self._options, self._gold = loglikelihoods, options, gold
        self._rows: dict[tuple[int, bool], Any] = {}
        self.raw = Predictions.from_options([loglikelihoods], [gold])

    @functools.cached_property
    def normalised(self) -> Predictions:
        """The predictions behind `acc_norm`."""
        logits = length_normalised(self._lls, [len(option) for option in self._options])
        return Predictions.from_options([logits], [self._gold])

    def row(self, bound: BoundMetric) -> Any:
        """What the harness keeps of this document for one metric."""
        key = id(bound.metric.family), bound.normalised
        if key not in self._rows:
            (self._rows[key],) = bound.rows(self.normalised if bound.normalised else self.raw)
        return self._rows[key]
