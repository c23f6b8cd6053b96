"""Every recalibrator on a logged run: on the documents it was fitted on, and on held-out folds.

python benchmarks/recalibrators.py runs/model [--folds 5] [--tasks arc_easy,...]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from common import machine_facts, markdown_table

METRICS = ("ece", "nll", "brier")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts and a table for each task."""
    from lm_eval_calibration.calibrators import METHODS
    from lm_eval_calibration.fitting.beliefs import Beliefs, of_runs
    from lm_eval_calibration.fitting.recalibration import recalibrate
    from lm_eval_calibration.logs import read_runs
    from lm_eval_calibration.metrics import evaluate

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args(argv)
    print(machine_facts("numpy", "scipy", "scikit-learn"))
    runs, _ = read_runs([options.run], one_each=True)
    beliefs = of_runs(runs)
    header = [
        "method",
        *(f"{m}, {how}" for m in METRICS for how in ("same", "held out")),
        "acc",
        "s",
    ]
    for task, predictions in beliefs.predictions.items():
        one = Beliefs({task: predictions}, {task: beliefs.documents[task]})
        before = evaluate(predictions, ["acc", *METRICS], replicates=200)
        line = [f"{before[m].value:.4f}" for m in METRICS for _ in range(2)]
        rows = [["as the model has it", *line, f"{before['acc'].value:.4f}", ""]]
        for method in METHODS:
            start = time.perf_counter()
            found = recalibrate(method, one, folds=options.folds, per_task=False)
            seconds = time.perf_counter() - start
            same, held = (
                evaluate(p, ["acc", *METRICS], replicates=200)
                for p in (found.in_sample, found.held_out)
            )
            line = [f"{e[m].value:.4f}" for m in METRICS for e in (same, held)]
            rows.append([method, *line, f"{held['acc'].value:.4f}", f"{seconds:.2f}"])
            if method == "temperature":
                band = held["ece"].null
        note = f"a calibrated model's ece: {band.low:.4f} to {band.high:.4f}" if band else ""
        print(f"\n{task}, {len(predictions):,} documents, {options.folds} folds; {note}\n")
        print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
