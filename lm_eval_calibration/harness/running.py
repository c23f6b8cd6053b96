"""One evaluation by a model that is there, its results and samples in a folder as `lm_eval` leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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
