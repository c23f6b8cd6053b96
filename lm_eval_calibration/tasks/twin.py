"""`CalibrationTask`: a harness task that also says how far the model's beliefs can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.tasks import Answered, ChoiceTask, options_of
from lm_eval_calibration.logits import length_normalised
from lm_eval_calibration.metrics.table import DEFAULT_METRICS, BoundMetric, bind
from lm_eval_calibration.normalisation import NORMALISATIONS, PLAIN
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.stated import statement_of
from lm_eval_calibration.tasks import stated
from lm_eval_calibration.tasks.base import DocumentRows, Twin
from lm_eval_calibration.tasks.gold import gold_indices
from lm_eval_calibration.tasks.uncertainty import AGGREGATIONS, uncertainty_rows


class CalibrationTask(Twin, ChoiceTask):
    """A multiple-choice task of the harness with calibration metrics beside its own.

    Prompts, requests and the upstream metrics are the parent class's, untouched. Use it in any
    multiple-choice YAML:

        class: !function lm_eval_calibration.CalibrationTask
        metric_list:
          - metric: acc
          - metric: ece
            num_bins: 10

    A `metric_list` that names none of our metrics gets `DEFAULT_METRICS`, and their `_norm` and
    `_bytes` versions where the task reports `acc_norm` and `acc_bytes`.

    Raises:
        InvalidInputError: not multiple choice; an unknown metric or option; a metric named twice.
    """

    for_output_type = "multiple_choice"

    def default_metrics(self) -> list[BoundMetric]:
        """`DEFAULT_METRICS`, plain and, if asked for, length-normalised."""
        return [bind(name + suffix) for suffix in self.normalisations() for name in DEFAULT_METRICS]

    def normalisations(self) -> tuple[str, ...]:
        """Plain, and those of `acc_norm` and `acc_bytes` where the task reports them."""
        found = (n.suffix for n in NORMALISATIONS.values() if n.verdict in self.metric_names)
        return (PLAIN, *found)

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Of the uncertainties of several draws, and of beliefs that were stated in words."""
        return {**AGGREGATIONS, **stated.aggregations(self.calibration_metrics)}

    def other_directions(self) -> dict[str, bool | None]:
        """Those of beliefs that were stated in words."""
        return stated.directions(self.calibration_metrics)

    def document(self, answered: Answered) -> dict[str, Any]:
        """The upstream metrics of one document, and one small row for each of ours."""
        doc, results = answered.doc, answered.results
        upstream = answered.upstream(results)
        if not self.calibration_metrics:
            return upstream
        options = options_of(self, doc)
        try:
            gold = gold_indices(self, doc, options)
            beliefs = _Beliefs([r[0] for r in results[: len(options)]], answered.counted, gold)
            rows = {b.name: beliefs.row(b) for b in self.calibration_metrics}
        except InvalidInputError as error:
            raise InvalidInputError(self._explain(error, doc, options)) from error
        self._warn_about_gold(gold, beliefs, upstream)
        found = {**upstream, **rows, **uncertainty_rows(results[: len(options)])}
        statement = statement_of(results)
        if statement is None:
            return found
        acc = upstream.get("acc", beliefs.raw.correct[0])
        said = stated.stated_rows(statement, gold, float(acc), rows)
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
    """One document's predictions, raw and normalised by length, and the rows that metrics share."""

    def __init__(
        self, loglikelihoods: list[float], counted: Sequence[str], gold: list[int]
    ) -> None:
        self._lls, self._gold = loglikelihoods, gold
        self._counted = counted[: len(loglikelihoods)]
        self._rows: dict[tuple[int, str], Any] = {}
        self.raw = Predictions.from_options([loglikelihoods], [gold])
        self._read = {PLAIN: self.raw}

    def by(self, suffix: str) -> Predictions:
        """The predictions behind `acc`, or, by the suffix of a normalisation, behind its `acc_norm`."""
        if suffix not in self._read:
            lengths = [NORMALISATIONS[suffix].length(option) for option in self._counted]
            logits = length_normalised(self._lls, lengths)
            self._read[suffix] = Predictions.from_options([logits], [self._gold])
        return self._read[suffix]

    def row(self, bound: BoundMetric) -> Any:
        """What the harness keeps of this document for one metric."""
        key = id(bound.metric.family), bound.normalisation
        if key not in self._rows:
            (self._rows[key],) = bound.rows(self.by(bound.normalisation))
        return self._rows[key]
