"""ECE and AUROC of 14 language models from the confidence logs that others published.

    python benchmarks/published.py --data ../shared/data/confidence_logs

Plaut, Nguyen and Trinh published one row per question and the AUROC of confidence against
correctness for each model, data set, prompt wording and kind of confidence. Their AUROCs are the
check; the ECEs, which they did not publish, are the news. Unparseable answers count as wrong.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from common import machine_facts, markdown_table
from lm_eval_calibration.logs.formats.confidence_table import Columns, read_table

from lm_eval_calibration import evaluate
from lm_eval_calibration.metrics import auroc

KEYS = ["prompt_wording", "logit_kind", "dataset", "model"]


def table(logs: Path) -> str:
    """ECE with its interval and null band, and AUROC, of every model; both wordings pooled."""
    columns = Columns(
        "confidence", "grade", "Correct", "model", "dataset", {"logit_kind": ("norm",)}
    )
    runs, _ = read_table([logs / "confidences.parquet"], columns)
    rows = []
    for run in sorted(runs, key=lambda run: run.label):
        cells = []
        for task in ("arc", "hellaswag"):
            found = evaluate(run.samples[task].predictions, ["acc", "ece", "auroc"])
            e = found["ece"]
            assert e.null is not None
            cells += [
                f"{found['acc'].value:.3f}",
                f"{e.value:.3f} ({e.low:.3f} to {e.high:.3f})",
                f"{e.null.low:.3f} to {e.null.high:.3f}",
                f"{found['auroc'].value:.3f}",
            ]
        rows.append([run.label, *cells])
    names = ("accuracy", "ECE", "if calibrated", "AUROC")
    header = ["model", *(f"{task}: {n}" for task in ("ARC", "HellaSwag") for n in names)]
    return markdown_table(header, rows)


def deviation(logs: Path) -> tuple[float, int]:
    """Largest distance of our AUROCs from the published ones, and how many there are."""
    import pandas as pd

    rows = pd.read_parquet(logs / "confidences.parquet")
    published = pd.read_csv(logs / "published_auroc.csv").set_index(KEYS)["sample_auroc"]
    distances = []
    for cell, found in rows.groupby(KEYS):
        if cell in published.index:
            ranks = found["confidence"].rank(pct=True).to_numpy()  # raw logits are no probabilities
            value = auroc(ranks, found["grade"].to_numpy() == "Correct")
            distances.append(abs(value - published[cell]))
    return max(distances), len(distances)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table and the check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    folder = os.environ.get("LM_EVAL_CALIBRATION_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(folder) / "confidence_logs")
    logs = parser.parse_args(argv).data
    print(machine_facts("numpy", "pandas"))
    print(f"\n{table(logs)}\n")
    largest, cells = deviation(logs)
    print(f"{cells} published AUROCs: the largest distance from ours is {largest:.1e}.")


if __name__ == "__main__":
    main()
