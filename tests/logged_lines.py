"""Lines as the harness logs them, for files that tests write themselves."""

from __future__ import annotations

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
