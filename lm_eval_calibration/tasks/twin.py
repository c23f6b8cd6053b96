"""`CalibrationTask`: a harness task that also says how far the model's beliefs can be trusted."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.task import ConfigurableTask

from lm_eval_calibration._version import __version__
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.metrics.table import DEFAULT_METRICS, BoundMetric, bind, is_metric
from lm_eval_calibration.predictions import Predictions, length_normalised
from lm_eval_calibration.tasks.aggregation import Aggregation
from lm_eval_calibration.tasks.gold import gold_indices
from lm_eval_calibration.tasks.uncertainty import AGGREGATIONS, uncertainty_rows

log = logging.getLogger(__name__)

Response = tuple[float, bool]


class CalibrationTask(ConfigurableTask):
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

    def __init__(
        self,
        data_dir: str | None = None,
        cache_dir: str | None = None,
        download_mode: Any = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        settings = {k: v for k, v in dict(config or {}).items() if k != "class"}
        self._twin_of = settings.pop("twin_of", None)
        name = settings.get("task")
        if settings.get("output_type", self.OUTPUT_TYPE) != "multiple_choice":
            raise InvalidInputError(
                f"Task `{name}`: a CalibrationTask must have `output_type: multiple_choice`, got "
                f"{settings.get('output_type')!r}. Other output types have no calibration twin yet."
            )
        ours, upstream = _split_metrics(settings.get("metric_list"))
        settings["metric_list"] = upstream
        super().__init__(data_dir, cache_dir, download_mode, settings)
        self.calibration_metrics = ours or _defaults("acc_norm" in self._metric_fn_list)
        self._said: set[str] = set()
        self._record()

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
        return {**upstream, **rows, **uncertainty_rows(results[: len(options)])}

    def aggregation(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Pooling functions by metric name."""
        return {
            **super().aggregation(),
            **{b.name: Aggregation(b) for b in self.calibration_metrics},
            **AGGREGATIONS,
        }

    def higher_is_better(self) -> dict[str, bool | None]:
        """Directions by metric name, group means included."""
        directions: dict[str, bool | None] = dict.fromkeys(AGGREGATIONS)
        directions |= {b.name: b.higher_is_better for b in self.calibration_metrics}
        macro = {f"{name}_macro": up for name, up in directions.items()}
        return {**super().higher_is_better(), **directions, **macro}

    def override_metric(self, metric_name: str) -> None:
        """Replace all metrics by one, as `--predict_only` does with `bypass`."""
        super().override_metric(metric_name)
        self.calibration_metrics = []

    def _record(self) -> None:
        """Name the metrics and this package's version in the run's logged configuration."""
        upstream = self.config.metric_list or [{"metric": m} for m in self._metric_fn_list]
        ours = [{"metric": b.name, **b.options} for b in self.calibration_metrics]
        self.config.metric_list = [*upstream, *ours]
        twin_of = {"twin_of": self._twin_of} if self._twin_of else {}
        self.config.metadata = {
            **(self.config.metadata or {}),
            "lm_eval_calibration": __version__,
            **twin_of,
        }

    def _explain(self, error: InvalidInputError, doc: dict[str, Any], options: list[str]) -> str:
        """Where a bad response or answer key came from: task, document, options."""
        doc_id = next((i.doc_id for i in self.instances or () if i.doc == doc), "unknown")
        return f"Task `{self.config.task}`, document {doc_id}: {error} Options, from 0: {options}."

    def _warn_about_gold(
        self, gold: list[int], beliefs: _Beliefs, upstream: Mapping[str, Any]
    ) -> None:
        """Say once that an answer key is missing, or that the task's `acc` reads another one."""
        if not gold:
            self._warn(
                "at least one document's answer key names none of its options. Such documents "
                "count as wrong, as in `acc`, and are left out of `nll` and `brier`"
            )
        elif callable(self.config.process_results) and upstream.get("acc") == (
            not beliefs.raw.correct[0]
        ):
            self._warn(
                "its own `process_results` calls an answer right or wrong where "
                "`doc_to_target` says otherwise: its calibration metrics follow the latter"
            )

    def _warn(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            log.warning("Task `%s`: %s.", self.config.task, message)


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


def _split_metrics(
    metric_list: Sequence[Mapping[str, Any]] | None,
) -> tuple[list[BoundMetric], list[dict[str, Any]] | None]:
    """Our metrics of a `metric_list`, bound, and the upstream rest (`None`: its defaults)."""
    ours, upstream = [], []
    for entry in metric_list or ():
        options = dict(entry)
        name = options.pop("metric", None)
        if is_metric(name):
            ours.append(bind(name, options))
        else:
            upstream.append(dict(entry))
    names = [b.name for b in ours]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(f"`metric_list` names the metric `{twice}` twice; keep one.")
    return ours, upstream or None


def _defaults(normalised: bool) -> list[BoundMetric]:
    suffixes = ("", "_norm") if normalised else ("",)
    return [bind(name + suffix) for suffix in suffixes for name in DEFAULT_METRICS]
