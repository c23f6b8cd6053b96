"""The bridge to the harness's 0.5 line, by its first development release."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api._utils import group_by_doc_id, maybe_delimit
from lm_eval.api.registry import metric_registry
from lm_eval.api.task import GenerateTask, MultipleChoiceTask, Task
from lm_eval.evaluator_utils import torch_gather_object

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.conversing import Answered, Conversing, all_told, no_documents

SPLITS = ("training_split", "validation_split", "test_split", "fewshot_split")
HANDED = "handed_over"
"""Of a request: values that stand for what a filter made of its answer, by the filter."""


class HarnessTask(Conversing, Task):
    """A task of the harness that is made of its configuration alone."""

    def __init__(self, config: Mapping[str, Any], **places: Any) -> None:
        self.begin()
        given = {k: v for k, v in config.items() if v is not None or k != "metric_list"}
        super().__init__(_own(given))

    def _build_scorers(self) -> list[Any]:
        """The harness's; of a task that scores documents itself they only filter."""
        if not self.scores_itself:
            return list(super()._build_scorers())
        metrics = [pipeline.pop("metric_list", None) for pipeline in self.config.filter_list]
        scorers = list(super()._build_scorers())
        for scorer, pipeline, listed in zip(scorers, self.config.filter_list, metrics, strict=True):
            scorer.metrics = []
            pipeline["metric_list"] = listed
        return scorers

    @property
    def row_name(self) -> str:
        """Under which results have the task."""
        return str(self._qualified_name)

    @property
    def _metrics(self) -> dict[str, Any]:
        return {m.name: m for scorer in self._scorers for m in scorer.metrics or ()}

    @property
    def metric_names(self) -> list[str]:
        """The harness's own metrics, in the task's order."""
        return list(self._metrics)

    @property
    def mean_names(self) -> dict[str, str]:
        """How each is pooled, by the function's name."""
        return {n: getattr(m.aggregation, "__name__", "") for n, m in self._metrics.items()}

    def metric_function(self, name: str) -> tuple[Callable[..., Any] | None, Mapping[str, Any]]:
        """The function of a metric, and its options; `None` where the task scores by one of its own."""
        metric = self._metrics.get(name)
        if metric is None or callable(self.config.process_results):
            return None, {}
        return metric.fn, metric.kwargs

    def build_all_requests(self, **options: Any) -> Any:
        """The harness's, made anew where its cache holds requests of an older release."""
        try:
            found = super().build_all_requests(**options)
            if options.get("cache_requests") and not all_told(self.instances):
                found = super().build_all_requests(**{**options, "rewrite_requests_cache": True})
        except ValueError as error:
            if self._dataset is None or any(map(len, self._evaluated())):
                raise
            raise no_documents(self.config.task) from error
        return found

    def _evaluated(self) -> list[Any]:
        """The splits that may be evaluated."""
        return [docs for docs in (self.test_docs(), self.validation_docs()) if docs is not None]

    def example_docs(self) -> Any:
        """Documents that examples are taken of; nothing without any."""
        found = self._fewshot_cfg.get_docs(self.dataset)
        return self.training_docs() if found is None else found

    @property
    def several_contexts(self) -> bool:
        """Whether a document has a context for each option."""
        return bool(self._multiple_inputs)

    def system_of(self, doc: dict[str, Any], instruction: str | None) -> str:
        """The system message of a document."""
        description = self._resolve_field(doc, self.config.description) or ""
        return maybe_delimit(instruction, description, self.config.fewshot_delimiter) or ""

    def _build_qa_turn(self, **parts: Any) -> Any:
        """The harness's messages of one question, noted down before it joins them."""
        found = super()._build_qa_turn(**parts)
        self.note(found)
        return found

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> Any:
        """The harness's requests, each with its document's `conversation`."""
        return self.told(super().construct_requests(doc, ctx, **options), doc, ctx)

    def process_instances(self) -> None:
        """Score all documents as the harness does, then have `document` make their rows of it.

        (Of several processes those with fewer requests ask the last one again, and 0.5.0.dev1 counts
        all of its answers.)
        """
        for request in self._instances:
            request.resps = request.resps[: max(request.repeats or 1, 1)]
        self.apply_filters()
        by_doc = group_by_doc_id(self._instances)
        for scorer in self._scorers:
            if self.scores_itself:
                scorer.set_results({})
            else:
                found = self._try_process_results(by_doc, scorer.name)
                scorer.set_results(scorer.score_instances(by_doc) if found is None else found)
            scorer._reduced_docs = {
                number: self.rows(self._answered(scorer, requests))
                for number, requests in by_doc.items()
            }

    def _answered(self, scorer: Any, requests: Sequence[Any]) -> Answered:
        first = requests[0]
        rows = dict(scorer.reduced_docs.get(first.doc_id, {}))
        results = [
            getattr(r, HANDED, {}).get(scorer.name, _first(r.filtered_resps[scorer.name]))
            for r in requests
        ]
        choosing = self.OUTPUT_TYPE == "multiple_choice"
        counted = [r.args[1] for r in requests] if choosing else ()
        return Answered(first.doc, results, lambda _: rows, counted)

    def upstream_of(self, doc: dict[str, Any], value: Any, filter_name: str) -> dict[str, Any]:
        """The harness's metrics of one text, as if it were the model's."""
        (scorer,) = (s for s in self._scorers if s.name == filter_name)
        if callable(self.config.process_results):
            return dict(self.config.process_results(doc, [value]))
        (request,) = GenerateTask.construct_requests(self, doc, "", doc_id=0)
        request.filtered_resps[filter_name] = [value]
        return dict(scorer.reduce(scorer.score_instances({0: [request]}))[0])

    def filter_all(self, requests: Sequence[Any]) -> None:
        """Apply each of the task's filters to answers."""
        for scorer in self._scorers:
            scorer.apply_filter(list(requests))

    @staticmethod
    def filtered(request: Any) -> dict[str, Any]:
        """What each filter made of a request's answer."""
        return {name: _first(made) for name, made in request.filtered_resps.items()}

    @staticmethod
    def hand_over(request: Any, filter_name: str, value: Any) -> None:
        """Have `document` find a value for what a filter made of an answer."""
        request.filtered_resps[filter_name] = [value.answer]
        vars(request).setdefault(HANDED, {})[filter_name] = value

    def set_repeats(self, repeats: int) -> None:
        """Refuse several answers to a question: wrappers ask for them themselves."""
        if repeats > 1 and self.OUTPUT_TYPE == "generate_until":
            raise InvalidInputError(
                f"`repeats` must be 1 for `{self.config.task}`, got {repeats}: a twin judges one answer and how sure "
                "the model is of it. Wrappers draw several themselves (candidates=N)."
            )
        super().set_repeats(repeats)


class ChoiceTask(HarnessTask, MultipleChoiceTask):
    """A task of options, for a model that scores them or that is asked for their probabilities."""

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> Any:
        """The harness's, also of messages as chat APIs' classes keep them, which it passes over."""
        asked = ctx if isinstance(ctx, list) else [ctx]
        if isinstance(asked[0], (str, dict)):
            return super().construct_requests(doc, ctx, **options)
        texts = [each.prompt for each in asked]
        found = super().construct_requests(doc, texts if ctx is asked else texts[0], **options)
        for number, request in enumerate(found or ()):
            request.arguments = (asked[number % len(asked)], *request.arguments[1:])
        return found


class GeneratingTask(HarnessTask, GenerateTask):
    """A task whose answers are texts."""


def options_of(task: Any, doc: Mapping[str, Any]) -> list[str]:
    """A document's options, of any multiple-choice task."""
    # (Of tasks of Winogrande's kind they are the contexts.)
    return list((task.doc_to_text if task._multiple_inputs else task.doc_to_choice)(doc) or ())


def answer_key(task: Any, doc: Mapping[str, Any]) -> Any:
    """Which of them is right: an index or a list of them; an empty list for none."""
    found = task.doc_to_target(doc)
    return [] if found is None else found


def all_splits(task: Any) -> Mapping[str, Any]:
    """The task's data set, with every split that it has, where the harness loads those that a task names."""
    config = task.config
    named = {split: getattr(config, split) for split in SPLITS}
    if not callable(config.custom_dataset):
        try:
            vars(config).update(dict.fromkeys(SPLITS))
            task.download(config.dataset_kwargs)
        finally:
            vars(config).update(named)
    found: Mapping[str, Any] = task.dataset
    return found


def _own(config: Any) -> Any:
    """A configuration of one's own: the harness changes it in place, and would change the next task's."""
    if isinstance(config, dict):
        return {key: _own(value) for key, value in config.items()}
    return list(map(_own, config)) if isinstance(config, list) else config


def _first(made: Any) -> Any:
    """The first of a request's answers, as filters leave them."""
    return made[0] if isinstance(made, list) and made else made


def pools(metric: str) -> str:
    """The name of what pools a metric of the harness."""
    found = metric_registry.get(metric, None)
    return getattr(getattr(found, "aggregation", None), "__name__", "")


def rolling_answer(value: float) -> Any:
    """An answer to a rolling request."""
    return value, False


def rolling_value(answer: Any) -> Any:
    """The number in such an answer."""
    return answer[0] if isinstance(answer, (tuple, list)) and len(answer) == 2 else answer


def gather_object(lm: Any, obj: Any, dst: int) -> list[Any] | None:
    """The objects of all processes, on one of them."""
    found: list[Any] | None = torch_gather_object(
        obj, rank=lm.rank, world_size=lm.world_size, dst=dst
    )
    return found


def about(task_name: str, doc_id: int) -> dict[str, Any]:
    """What a new request says of its document."""
    return {"task_name": task_name, "doc_id": doc_id}
