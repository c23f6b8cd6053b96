"""The bridge to the harness's 0.4 releases, from 0.4.13."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lm_eval.api.registry import get_metric_aggregation
from lm_eval.api.task import ConfigurableTask
from lm_eval.api.utils import maybe_delimit

from lm_eval_calibration.harness.conversing import Answered, Conversing, all_told, no_documents


class HarnessTask(Conversing, ConfigurableTask):
    """A task of the harness that is made of its configuration alone."""

    def __init__(self, config: Mapping[str, Any], **places: Any) -> None:
        self.begin()
        try:
            super().__init__(config=dict(config), **places)
        except IndexError as error:  # the harness looks at the first document
            if len(getattr(self, "task_docs", "unknown")):
                raise
            raise no_documents(config.get("task")) from error

    @property
    def row_name(self) -> str:
        """Under which results have the task."""
        return str(self.task_name)

    @property
    def metric_names(self) -> list[str]:
        """The harness's own metrics, in the task's order."""
        return list(self._metric_fn_list)

    @property
    def mean_names(self) -> dict[str, str]:
        """How each is pooled, by the function's name."""
        return {name: getattr(f, "__name__", "") for name, f in self._aggregation_list.items()}

    def metric_function(self, name: str) -> tuple[Callable[..., Any] | None, Mapping[str, Any]]:
        """The function of a metric, and its options; `None` where the task scores by one of its own."""
        if callable(self.config.process_results):
            return None, {}
        return self._metric_fn_list.get(name), self._metric_fn_kwargs.get(name, {})

    def build_all_requests(self, **options: Any) -> None:
        """The harness's, made anew where its cache holds requests of an older release."""
        super().build_all_requests(**options)
        if options.get("cache_requests") and not all_told(self.instances):
            super().build_all_requests(**{**options, "rewrite_requests_cache": True})

    def example_docs(self) -> Any:
        """Documents that examples are taken of; nothing without any."""
        there = self.config.fewshot_split or self.has_training_docs()
        return self.fewshot_docs() if there else None

    @property
    def several_contexts(self) -> bool:
        """Whether a document has a context for each option."""
        return bool(self.multiple_input)

    def system_of(self, doc: dict[str, Any], instruction: str | None) -> str:
        """The system message of a document."""
        description = self.resolve_field(doc, self.config.description) or ""
        return maybe_delimit(instruction, description, self.config.fewshot_delimiter) or ""

    def build_qa_turn(self, **parts: Any) -> Any:
        """The harness's messages of one question, noted down before it joins them."""
        found = super().build_qa_turn(**parts)
        self.note(found)
        return found

    def construct_requests(self, doc: dict[str, Any], ctx: Any, **options: Any) -> Any:
        """The harness's requests, each with its document's `conversation`."""
        return self.told(super().construct_requests(doc, ctx, **options), doc, ctx)

    def process_results(self, doc: dict[str, Any], results: Sequence[Any]) -> dict[str, Any]:
        """The rows of a document."""
        choosing = self.OUTPUT_TYPE == "multiple_choice"
        counted = options_of(self, doc) if choosing else ()
        return self.rows(Answered(doc, results, self._upstream(doc), counted))

    def _upstream(self, doc: dict[str, Any]) -> Callable[[Sequence[Any]], dict[str, Any]]:
        of_harness = super().process_results
        return lambda results: dict(of_harness(doc, results))

    def upstream_of(self, doc: dict[str, Any], value: Any, filter_name: str) -> dict[str, Any]:
        """The harness's metrics of one text, as if it were the model's."""
        return self._upstream(doc)([value])

    def filter_all(self, requests: Sequence[Any]) -> None:
        """Apply each of the task's filters to answers."""
        for ensemble in self._filters:
            ensemble.apply(requests)

    @staticmethod
    def filtered(request: Any) -> dict[str, Any]:
        """What each filter made of a request's answer."""
        return dict(request.filtered_resps)

    @staticmethod
    def hand_over(request: Any, filter_name: str, value: Any) -> None:
        """Have `document` find a value for what a filter made of an answer."""
        request.filtered_resps[filter_name] = value


class ChoiceTask(HarnessTask):
    """A task of options."""


class GeneratingTask(HarnessTask):
    """A task whose answers are texts."""


def options_of(task: Any, doc: Mapping[str, Any]) -> list[str]:
    """A document's options, of any multiple-choice task."""
    return list(task.doc_to_choice(doc))


def answer_key(task: Any, doc: Mapping[str, Any]) -> Any:
    """Which of them is right: an index, a text, or a list of them."""
    # Tasks of Winogrande's kind put the options into the context, and the gold into doc_to_text.
    return task.doc_to_text(doc) if task.multiple_input else task.doc_to_target(doc)


def all_splits(task: Any) -> Mapping[str, Any]:
    """The task's data set, with every split that it has."""
    found: Mapping[str, Any] = task.dataset
    return found


def pools(metric: str) -> str:
    """The name of what pools a metric of the harness."""
    return getattr(get_metric_aggregation(metric), "__name__", "")


def rolling_answer(value: float) -> Any:
    """An answer to a rolling request."""
    return value


def rolling_value(answer: Any) -> Any:
    """The number that such an answer is."""
    return answer


def gather_object(lm: Any, obj: Any, dst: int) -> list[Any] | None:
    """The objects of all processes, on one of them."""
    found: list[Any] | None = lm.gather_object(obj, dst)
    return found


def about(task_name: str, doc_id: int) -> dict[str, Any]:
    """What a new request says of its document."""
    return {"metadata": (task_name, doc_id, 1)}
