"""One evaluation by a model that is there, its results and samples in a folder as `lm_eval` leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lm_eval_calibration.harness.index import TwinIndex
from lm_eval_calibration.harness.naming import model_class, unknown_tasks
from lm_eval_calibration.harness.refusing import refuse_without_beliefs
from lm_eval_calibration.harness.tasks import TaskManager, matching


def checked_tasks(
    names: Sequence[str], model: str, include_path: str | None = None, manager: Any = None
) -> Any:
    """The task manager that knows all of these names, which `model` can answer.

    Raises:
        InvalidInputError: one that means nothing; or a model that states no belief where one is needed.
    """
    manager = manager or TaskManager(include_path=include_path)
    if any(not matching(manager, name) for name in names):
        raise unknown_tasks(list(names), manager=manager)
    if isinstance(manager._index, TwinIndex):
        refuse_without_beliefs(names, manager._index, model_class(model), model)
    return manager


def evaluate_into(folder: Path, model: Any, tasks: list[str], **options: Any) -> None:
    """Evaluate, and write results and samples.

    Args:
        folder: for `results_*.json` and a `samples_*.jsonl` of each task.
        model: an instance of a model of the harness.
        tasks: names.
        **options: of `simple_evaluate`.
    """
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker

    tracker = EvaluationTracker(output_path=str(folder))
    results = simple_evaluate(
        model=model, tasks=tasks, log_samples=True, evaluation_tracker=tracker, **options
    )
    samples = results.pop("samples")
    tracker.save_results_aggregated(results=results, samples=samples)
    for task in results["configs"]:
        tracker.save_results_samples(task_name=task, samples=samples[task])
