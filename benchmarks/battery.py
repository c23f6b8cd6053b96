"""Time and memory of the default metrics with their error bars, on one core.

    python benchmarks/battery.py --sizes 1000 10000 100000 --repeats 5

Every line of the table is a process of its own, so that its peak memory is its own. The draws that
the metrics of a battery share are forgotten between repeats. The last case is the harness's route
to a standard error, `lm_eval.api.metrics.bootstrap_stderr`, for ECE alone: 100,000 iterations (the
harness's default) extrapolated from a few, in one process (the harness starts one for each core).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from common import ONE_THREAD, machine_facts, markdown_table, verdict

NUM_OPTIONS = 4
REPLICATES = 1000
WARM_UP_SIZE = 50
HARNESS_ITERATIONS = 100_000
HARNESS_CALLS = 200_000
"""The harness's route is timed on as many iterations as make this many documents (at least 3)."""

TARGET_CASE, TARGET_SIZE, TARGET_SECONDS = "stderr", 100_000, 2.0
HEADER = ("N", "what", "median, s", "target, s", "peak memory, MiB", "before it, MiB")
CASES = {
    "build": "`Predictions.from_options`, from lists",
    "values": "(a) values only: `evaluate(replicates=0)`",
    "stderr": f"(b) values and standard errors, {REPLICATES:,} replicates",
    "bands": "(c) values, standard errors and null bands: `evaluate()`",
    "harness": f"the harness's bootstrap of ECE alone, {HARNESS_ITERATIONS:,} iterations",
}

Run = Callable[[], Any]


def documents(size: int) -> tuple[list[list[float]], list[int]]:
    """`size` rows of four logits, and gold options drawn from a softer softmax of them."""
    import numpy as np

    rng = np.random.default_rng(0)
    logits = 1.5 * rng.normal(size=(size, NUM_OPTIONS))
    gold = (logits / 1.5 + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return logits.tolist(), gold.tolist()


def task(case: str, size: int) -> tuple[Run, float]:
    """What a case runs on `size` documents, and the factor from its time to the time reported."""
    from lm_eval_calibration import Predictions, evaluate

    logits, gold = documents(size)
    if case == "build":
        return lambda: Predictions.from_options(logits, gold), 1.0
    predictions = Predictions.from_options(logits, gold)
    if case == "harness":
        iterations = max(3, HARNESS_CALLS // size)
        return _harness_run(predictions, iterations), HARNESS_ITERATIONS / iterations
    runs: dict[str, Run] = {
        "values": lambda: evaluate(predictions, replicates=0),
        "stderr": lambda: _values_and_stderrs(predictions),
        "bands": lambda: evaluate(predictions, replicates=REPLICATES),
    }
    return runs[case], 1.0


def _values_and_stderrs(predictions: Any) -> dict[str, tuple[float, float]]:
    """The default metrics as `evaluate` has them, without their null bands."""
    from lm_eval_calibration.metrics import DEFAULT_METRICS, bind

    result = {}
    for name in (name for name in DEFAULT_METRICS if not name.endswith("_null")):
        bound = bind(name)
        columns = bound.metric.family.read(predictions)
        result[name] = bound.value(columns), bound.stderr(columns, REPLICATES)
    return result


def _harness_run(predictions: Any, iterations: int) -> Run:
    """The harness's bootstrap of our ECE over its list of rows, as it would aggregate them."""
    from lm_eval.api.metrics import bootstrap_stderr

    from lm_eval_calibration.metrics import bind

    bound = bind("ece")
    rows = bound.rows(predictions)

    def ece(resampled: Sequence[Any]) -> float:
        return float(bound.value(bound.columns(resampled)))

    def run() -> None:
        silence = io.StringIO()
        with contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
            bootstrap_stderr(ece, rows, iterations)

    return run


def work(case: str, size: int, repeats: int) -> dict[str, float]:
    """Seconds (median) and MiB (peak, and peak before the first timed run) of one case."""
    task(case, WARM_UP_SIZE)[0]()  # loads what is imported on first use
    run, factor = task(case, size)
    before = _peak_mib()
    seconds = []
    for _ in range(repeats):
        _forget_draws()
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return {"seconds": factor * median(seconds), "peak": _peak_mib(), "before": before}


def _forget_draws() -> None:
    from lm_eval_calibration.metrics import resampling

    resampling._bootstrap_weights.cache_clear()
    resampling._null_weights.cache_clear()


def _peak_mib() -> float:
    """Largest resident memory of this process so far (Linux counts in KiB)."""
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


def measure(case: str, size: int, repeats: int) -> dict[str, float]:
    """`work` in a process of its own, on one thread and without the harness's worker pool."""
    command = [sys.executable, __file__, "--case", case, "--sizes", str(size)]
    done = subprocess.run(
        [*command, "--repeats", str(repeats)],
        env={**os.environ, **ONE_THREAD, "DISABLE_MULTIPROC": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table_row(case: str, size: int, result: dict[str, float]) -> list[str]:
    """One line of the table."""
    targeted = (case, size) == (TARGET_CASE, TARGET_SIZE)
    target = verdict(result["seconds"], below=TARGET_SECONDS) if targeted else ""
    label = CASES[case]
    if case == "harness":
        label += f", extrapolated from {max(3, HARNESS_CALLS // size)}"
    seconds = f"{result['seconds']:.3g}" if result["seconds"] < 100 else f"{result['seconds']:.0f}"
    return [f"{size:,}", label, seconds, target, f"{result['peak']:.0f}", f"{result['before']:.0f}"]


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--case", choices=CASES, help="measure this one here, and print JSON")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts, and a table of every case at every size."""
    options = _arguments(argv)
    if options.case:
        print(json.dumps(work(options.case, options.sizes[0], options.repeats)))
        return
    print(machine_facts("numpy", "scipy", "torch", "torchmetrics", "lm_eval"))
    rows = [
        table_row(case, size, measure(case, size, options.repeats))
        for size in options.sizes
        for case in CASES
    ]
    print(f"\n{markdown_table(HEADER, rows)}")


if __name__ == "__main__":
    main()
