"""`VerbalizedTask`: classification by probabilities that a model states, with any model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import Environment

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.harness.tasks import Answered, GeneratingTask
from lm_eval_calibration.metrics.table import DEFAULT_METRICS, BoundMetric, bind
from lm_eval_calibration.stated import Statement
from lm_eval_calibration.tasks import stated
from lm_eval_calibration.tasks.base import DocumentRows, Twin
from lm_eval_calibration.tasks.verbal_filters import as_predictions
from lm_eval_calibration.verbal.labels import Labels
from lm_eval_calibration.verbal.styles import Style, style

JINJA = Environment(trim_blocks=True, autoescape=False)
TOKENS = 16
"""Of a label and its number in a reply."""


class VerbalizedTask(Twin, GeneratingTask):
    """A generation task that asks for a probability of every label.

    `doc_to_text` is the question, to which the instruction is added; `doc_to_choice` the labels;
    `doc_to_target` the number of the right one. `metadata.reading` says how it is asked (see
    `verbal.styles`), `metadata.guesses` how many guesses `topk` wants. Each entry of `filter_list`
    begins with `verbalized` and is a row of the results.

    Raises:
        InvalidInputError: another output type; a metric that is none.
    """

    for_output_type = "generate_until"
    scores_itself = True

    def __init__(self, config: Mapping[str, Any] | None = None, **places: Any) -> None:
        told = dict((config or {}).get("metadata") or {})
        self._style: Style = style(told.get("reading", "distribution"), told.get("guesses", 3))
        super().__init__(config, **places)

    def default_metrics(self) -> list[BoundMetric]:
        """Those of any multiple-choice twin."""
        return [bind(name) for name in DEFAULT_METRICS]

    def other_aggregations(self) -> dict[str, Callable[[Sequence[Any]], Any]]:
        """Of replies."""
        return stated.aggregations(self.calibration_metrics)

    def other_directions(self) -> dict[str, bool | None]:
        """Of replies."""
        return stated.directions(self.calibration_metrics)

    def doc_to_text(self, doc: dict[str, Any], doc_to_text: Any = None) -> str:
        """The question with the instruction."""
        question = str(super().doc_to_text(doc, doc_to_text)).strip()
        names = self._style.names(Labels([str(label) for label in self.doc_to_choice(doc)]))
        return f"{question}\n\n{JINJA.from_string(self._style.instruction).render(**names)}"

    def adapt(self, request: Any, doc: dict[str, Any]) -> None:
        """Room for all labels."""
        context, settings, *rest = request.args
        labels = self._style.guesses or len(self.doc_to_choice(doc))
        least = 64 + TOKENS * labels
        request.arguments = (context, {"max_gen_toks": least, **settings}, *rest)

    def document(self, answered: Answered) -> dict[str, Any]:
        """Accuracy and our metrics of one document's statement."""
        doc, statement = answered.doc, answered.results[0]
        if not isinstance(statement, Statement):
            raise InvalidInputError(
                f"Task `{self.config.task}`: each entry of `filter_list` must begin with the filter "
                "`verbalized`."
            )
        gold = [int(self.doc_to_target(doc))]
        predictions = as_predictions([statement], [gold])
        rows = {b.name: b.rows(predictions)[0] for b in self.calibration_metrics}
        correct = bool(predictions.correct[0])
        said = stated.stated_rows(statement, gold, correct, rows)
        labels = [str(label) for label in self.doc_to_choice(doc)]
        logged = {stated.LOGGED: {**statement.as_logged(), "labels": labels}}
        return DocumentRows({"acc": float(correct), **rows, **said}, logged)


def with_label_names(dataset: Any) -> Any:
    """Documents with `label_names`, all labels in the order of their numbers, as the data set names them.

    (For sets of so many labels that a task had better not list them.)
    """
    (names,) = (f.names for f in dataset.features.values() if hasattr(f, "names"))
    return dataset.add_column("label_names", [list(names)] * len(dataset))
