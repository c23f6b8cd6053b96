"""What every twin is: the harness's task, untouched, with metrics of ours beside its own."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from lm_eval_calibration._version import __version__
from lm_eval_calibration.clusters import AUTO, FEW_CLUSTERS, NONE, field, passage
from lm_eval_calibration.errors import InvalidInputError, invalid, unknown_name
from lm_eval_calibration.harness.conversing import Answered
from lm_eval_calibration.harness.tasks import HarnessTask, all_splits, pools
from lm_eval_calibration.messages import logger
from lm_eval_calibration.metrics.table import METRICS, BoundMetric, bind, is_metric
from lm_eval_calibration.normalisation import PLAIN
from lm_eval_calibration.tasks.aggregation import Aggregation, Clustered
from lm_eval_calibration.tasks.asked_metrics import KEY, asked, computed, shown

log = logger(f"lm_eval.{__name__}")

SPLIT = "split"
"""Under which the `metadata` of a task, or of a run, names a split to evaluate on instead."""
KEYS = (SPLIT, KEY, "cluster")


class DocumentRows(dict[str, Any]):
    """A document's rows, and more that is logged with them but is no metric.

    The harness copies the whole into the document's logged line, and pools what `items` gives.
    """

    def __init__(self, rows: Mapping[str, Any], logged: Mapping[str, Any]) -> None:
        super().__init__({**rows, **logged})
        self._rows = dict(rows)

    def items(self) -> Any:
        """The metrics."""
        return self._rows.items()

    @classmethod
    def clustered(
        cls, found: Mapping[str, Any], names: Collection[str], cluster: tuple[str, int]
    ) -> DocumentRows:
        """The same, in which the rows of some metrics say which documents this one belongs to; see `Clustered`."""
        rows = dict(found.items())
        made = cls(rows, {name: found[name] for name in found if name not in rows})
        made._rows |= {n: Clustered(row, *cluster) for n, row in rows.items() if n in names}
        return made


class Twin(HarnessTask):
    """A task of the harness that also reports calibration metrics.

    Subclasses say which output type they are for, which metrics a `metric_list` without any of
    ours gets, and what they add to a document's results.

    Raises:
        InvalidInputError: another output type; an unknown metric or option; a metric named twice;
            no documents.
    """

    for_output_type: str

    def __init__(self, config: Mapping[str, Any] | None = None, **places: Any) -> None:
        settings = {k: v for k, v in dict(config or {}).items() if k != "class"}
        self._twin_of = settings.pop("twin_of", None)
        self._check_output_type(settings)
        self._cluster, self._looked = _cluster_of(settings), False
        ours, upstream = split_metrics(settings.get("metric_list"))
        settings["metric_list"] = upstream
        if settings.get("filter_list"):
            ours += _of_filters(settings, {b.name for b in ours})
        _check_metadata(settings)
        _check_choices(settings)
        self._split = _split_of(settings)
        try:
            super().__init__(settings, **places)
        except KeyError as error:
            if self._split is None or error.args != (self._split,):
                raise
            raise _no_split(self, settings, self._split) from error
        if self._split is not None and self._split not in all_splits(self):
            raise _no_split(self, settings, self._split)
        self._said: set[str] = set()
        self.calibration_metrics = ours or self.default_metrics()
        named = [b.name for b in ours]
        wanted = asked(self.config.metadata, self.other_aggregations())
        present = [b.name for b in self.calibration_metrics]
        more = computed(wanted, present, self.normalisations())
        self.calibration_metrics += [b for b in map(bind, more) if self.can_have(b)]
        self.shown_metrics = shown(wanted, named, self.normalisations())
        self._record()
        self.settle()

    def build_all_requests(self, **options: Any) -> Any:
        """The harness's, whose cache does not know of another split."""
        if self._split is not None:
            options["cache_requests"] = False
        return super().build_all_requests(**options)

    def settle(self) -> None:
        """What a subclass makes of the configuration, once it is read."""

    def default_metrics(self) -> list[BoundMetric]:
        """Our metrics of a task that names none."""
        raise NotImplementedError

    def normalisations(self) -> tuple[str, ...]:
        """The suffixes of the probabilities that the task has verdicts of, the plain ones first."""
        return (PLAIN,)

    def can_have(self, metric: BoundMetric) -> bool:
        """Whether the task's answers have what a metric reads."""
        return True

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Pooling functions of what is reported beside the metrics."""
        return {}

    def other_directions(self) -> dict[str, bool | None]:
        """Which way these are better, where that can be said."""
        return {}

    def check_document(self, doc: dict[str, Any]) -> None:
        """Refuse a field of `cluster` that the first document does not have.

        Raises:
            UnknownNameError: it does not.
        """
        if self._cluster in (AUTO, NONE) or self._looked or not self.calibration_metrics:
            return
        self._looked = True
        if field(doc, self._cluster) is None:
            what = f"field of the documents of `{self.config.task}` (`cluster`):"
            raise unknown_name(what, self._cluster, list(doc))

    def rows(self, answered: Answered) -> dict[str, Any]:
        """The rows of a document, in which ours say its passage where it may have one in common with others."""
        found, asked = self.document(answered), self._cluster
        name = passage(answered.doc) if asked == AUTO else asked
        if name in ("", NONE) or not self.calibration_metrics:
            return found
        together = field(answered.doc, name) or ""
        if asked == AUTO:
            self.inform(
                f"documents of one `{name}` are drawn together where {FEW_CLUSTERS} or more differ"
            )
        ours = [n for n, pool in self.aggregation().items() if isinstance(pool, Aggregation)]
        least = FEW_CLUSTERS if asked == AUTO else 2
        return DocumentRows.clustered(found, ours, (together, least))

    def aggregation(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Pooling functions by metric name."""
        return {
            **super().aggregation(),
            **{b.name: Aggregation(b) for b in self.calibration_metrics},
            **self.other_aggregations(),
        }

    def higher_is_better(self) -> dict[str, bool | None]:
        """Directions by metric name, group means included."""
        directions: dict[str, bool | None] = dict.fromkeys(self.other_aggregations())
        directions |= self.other_directions()
        directions |= {b.name: b.higher_is_better for b in self.calibration_metrics}
        macro = {f"{name}_macro": up for name, up in directions.items()}
        return {**super().higher_is_better(), **directions, **macro}

    def override_metric(self, metric_name: str) -> None:
        """Replace all metrics by one, as `--predict_only` does with `bypass`."""
        super().override_metric(metric_name)
        self.calibration_metrics = []

    def _check_output_type(self, settings: Mapping[str, Any]) -> None:
        found = settings.get("output_type", self.OUTPUT_TYPE)
        if found != self.for_output_type:
            raise InvalidInputError(
                f"Task `{settings.get('task')}`: a {type(self).__name__} must have `output_type: "
                f"{self.for_output_type}`, got {found!r}. Leave `class` out, and run calib_{settings.get('task')}."
            )

    def _record(self) -> None:
        """Name the metrics and this package's version in the run's logged configuration."""
        upstream = self.config.metric_list or [{"metric": m} for m in self.metric_names]
        ours = [{"metric": b.name, **b.options} for b in self.calibration_metrics]
        self.config.metric_list = [*upstream, *ours]
        twin_of = {"twin_of": self._twin_of} if self._twin_of else {}
        cluster = {"cluster": self._cluster} if self._cluster != AUTO else {}
        self.config.metadata = {
            **(self.config.metadata or {}),
            "lm_eval_calibration": __version__,
            KEY: self.shown_metrics,
            **twin_of,
            **cluster,
        }

    def warn(self, message: str) -> None:
        """Say something of this task that a user should look into, once."""
        self._say(log.warning, message)

    def inform(self, message: str) -> None:
        """Say something of this task, once."""
        self._say(log.info, message)

    def _say(self, say: Callable[..., None], message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            say("Task `%s`: %s.", self.config.task, message)


def _cluster_of(settings: Mapping[str, Any]) -> str:
    """The field by which documents belong together: of `metadata`, or of an entry of `metric_list`."""
    listed = settings.get("metric_list")
    entries = [e for e in listed if isinstance(e, Mapping)] if isinstance(listed, list) else []
    named = [(settings.get("metadata") or {}).get("cluster"), *(e.get("cluster") for e in entries)]
    found = list(dict.fromkeys(name for name in named if name is not None))
    if len(found) > 1 or not all(isinstance(name, str) and name for name in found):
        raise invalid("cluster", "one field of the task's documents, `auto` or `none`", found)
    return found[0] if found else AUTO


def _check_choices(settings: Mapping[str, Any]) -> None:
    """Stop at options that YAML has read as truth values."""
    listed = settings.get("doc_to_choice")
    if isinstance(listed, list) and any(isinstance(option, bool) for option in listed):
        hint = 'YAML reads No and Yes as false and true: quote them, ["No", "Yes"].'
        raise invalid("doc_to_choice", "texts", repr(listed), hint)


def _check_metadata(settings: Mapping[str, Any]) -> None:
    """Stop at a key of `metadata` that is almost one of ours, and would do nothing."""
    for key in settings.get("metadata") or ():
        near = difflib.get_close_matches(str(key), KEYS, n=1, cutoff=0.85)
        if near and key not in KEYS:
            raise invalid(
                "metadata", "keys that mean something", f"`{key}`", f"Did you mean `{near[0]}`?"
            )


def _split_of(settings: dict[str, Any]) -> str | None:
    """The split that `metadata` says to evaluate on, which is then the task's test split."""
    found = (settings.get("metadata") or {}).get(SPLIT)
    if found is None:
        return None
    if not isinstance(found, str) or not found:
        raise invalid(f"metadata: {SPLIT}", "the name of a split of the data set", repr(found))
    settings["test_split"] = found
    return found


def _no_split(task: Any, settings: Mapping[str, Any], split: str) -> InvalidInputError:
    there = ", ".join(f"`{name}`" for name in sorted(getattr(task, "dataset", None) or ()))
    what = f"a split of the data set of `{settings.get('task')}`" + (f" ({there})" if there else "")
    return invalid(f"metadata: {SPLIT}", what, f"`{split}`")


def split_metrics(
    metric_list: Sequence[Mapping[str, Any]] | None,
) -> tuple[list[BoundMetric], list[dict[str, Any]] | None]:
    """Our metrics of a `metric_list`, bound, and the upstream rest (`None`: its defaults)."""
    ours, upstream = [], []
    if not isinstance(metric_list or [], (list, tuple)):
        raise invalid("metric_list", "a list of entries such as {metric: ece}", repr(metric_list))
    for entry in metric_list or ():
        if not isinstance(entry, Mapping):
            raise invalid("metric_list", "a list of entries such as {metric: ece}", repr(entry))
        options = dict(entry)
        name = options.pop("metric", None)
        if is_metric(name):
            options.pop("cluster", None)  # (which is the task's, see `_cluster_of`)
        if is_metric(name):
            ours.append(bind(name, options))
        else:
            _refuse_misspelt(name)
            upstream.append(dict(entry))
    names = [b.name for b in ours]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInputError(f"`metric_list` names the metric `{twice}` twice; keep one.")
    return ours, upstream or None


def _of_filters(settings: dict[str, Any], known: set[str]) -> list[BoundMetric]:
    """Our metrics among those that 0.5 lets each filter name, which are taken out: they are the task's."""
    found: dict[str, BoundMetric] = {}
    pipelines = []
    for pipeline in settings["filter_list"]:
        ours, upstream = split_metrics(pipeline.get("metric_list"))
        found |= {b.name: b for b in ours if b.name not in known}
        kept = {name: value for name, value in pipeline.items() if name != "metric_list"}
        pipelines.append({**kept, "metric_list": upstream} if upstream else kept)
    settings["filter_list"] = pipelines
    return list(found.values())


def _refuse_misspelt(name: Any) -> None:
    """Stop at a metric that nobody has and that is almost called as one of ours."""
    near = isinstance(name, str) and difflib.get_close_matches(name, METRICS, cutoff=0.8)
    if near and not pools(name):
        raise unknown_name("metric", name, METRICS)
