"""What the harness logs: whole runs as it saves them, and single lines for files of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAME = "samples_toy_2026-01-02T03-04-05.678901.jsonl"
LIVE = ["toy_norm", "toy_plain", "toy_several", "toy_outside", "toy_mutual", "toy_inputs"]


def line(number: int = 0, **changes: Any) -> dict[str, Any]:
    """One logged document with two options, the first of them right and preferred."""
    texts = changes.pop("texts", ["yes", "no"])
    scores = changes.pop("scores", [-1.0, -2.0])
    sample = {
        "doc_id": number,
        "doc": {"question": f"number {number}"},
        "target": "0",
        "arguments": {
            f"gen_args_{i}": {"arg_0": f"question {number}", "arg_1": f" {text}"}
            for i, text in enumerate(texts)
        },
        "filtered_resps": [[str(score), "False"] for score in scores],
        "filter": "none",
        "doc_hash": f"{number:064x}",
    }
    kept = {key: value for key, value in {**sample, **changes}.items() if value is not None}
    return kept


def save_run(folder: Path, results: dict[str, Any]) -> Path:
    """What `lm_eval --log_samples --output_path` writes."""
    from lm_eval.loggers import EvaluationTracker

    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.save_results_aggregated(results=results, samples=samples)
    for name, logged in samples.items():
        tracker.save_results_samples(task_name=name, samples=logged)
    return folder
