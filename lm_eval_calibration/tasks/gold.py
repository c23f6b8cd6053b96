"""Which options of a document are right, as the harness's own `acc` decides it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lm_eval_calibration.answer_keys import indices_of
from lm_eval_calibration.harness.tasks import answer_key


def gold_indices(task: Any, doc: Mapping[str, Any], options: list[str]) -> list[int]:
    """Indices of the right options of `doc`; empty if its answer key names none of them.

    Args:
        task: a multiple-choice task of the harness, a twin or not.
        doc: one document.
        options: the document's options, in order.

    Raises:
        InvalidInputError: the answer key is neither an index, an option's text nor a list of them.
    """
    reader = ANSWER_KEYS.get(getattr(task.config.process_results, "__name__", ""))
    if reader is not None:
        return reader(doc)
    return indices_of(answer_key(task, doc), options)


def _truthfulqa_mc2(doc: Mapping[str, Any]) -> list[int]:
    """All true answers; the task's doc_to_target names only the first of them."""
    return [i for i, label in enumerate(doc["mc2_targets"]["labels"]) if label == 1]


ANSWER_KEYS: dict[str, Callable[[Mapping[str, Any]], list[int]]] = {
    "process_results_mc2": _truthfulqa_mc2
}
"""Tasks that score documents by a function of their own keep the answer key elsewhere than in
doc_to_target: the function's name, and where the key is."""
