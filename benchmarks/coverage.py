"""How often do the 95 % intervals hold the true value? Simulated, where the truth is known.

    python benchmarks/coverage.py --sizes 100 300 1000 3000 --data-sets 300

A population of documents with four options has confidences from a Beta distribution, and gold
options that it is over-confident about (`miscalibrated`) or not (`calibrated`: the hard case, in
which a calibration error's true value is 0 and an estimate can only lie above it). The true value
of a metric is that of `--truth` documents. Beside the interval that `evaluate` gives stands the
percentile interval of the same replicates. The last table tests pairs of equally good models,
which differ by noise alone: 5 in 100 may be told apart.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from common import machine_facts, markdown_table, use_one_thread

use_one_thread()

import numpy as np  # noqa: E402

from lm_eval_calibration import Predictions  # noqa: E402
from lm_eval_calibration.metrics import ALL_METRICS, BoundMetric, bind, compare, evaluate  # noqa: E402
from lm_eval_calibration.metrics.families import Documents  # noqa: E402

NUM_OPTIONS = 4
POPULATIONS = {"miscalibrated": 0.8, "calibrated": 1.0}
"""The slope of the gold options' log-odds on the model's."""


def population(size: int, slope: float, rng: np.random.Generator) -> Predictions:
    """`size` documents: the first option's share of what 1/4 leaves is Beta(1.2, 1)."""
    top = 0.25 + 0.75 * rng.beta(1.2, 1.0, size)
    rest = rng.dirichlet([2.0] * (NUM_OPTIONS - 1), size) * (1.0 - top)[:, None]
    p = rng.permuted(np.concatenate([top[:, None], rest], axis=1), axis=1)
    with np.errstate(divide="ignore"):
        logits = np.log(p)
    gold = (slope * logits + rng.gumbel(size=p.shape)).argmax(axis=1)
    right = gold[:, None] == np.arange(NUM_OPTIONS)
    return Predictions.from_padded(logits, np.full(size, NUM_OPTIONS), right)


def percentiles(bound: BoundMetric, documents: Documents) -> tuple[float, float]:
    """The percentile interval; NaN, which holds nothing, where no replicate has a value."""
    draws = documents.bootstrap.draws(bound.score)
    defined = draws[np.isfinite(draws)]
    low, high = np.quantile(defined, [0.025, 0.975]) if defined.size else (np.nan, np.nan)
    return float(low), float(high)


def covered(
    bounds: Sequence[BoundMetric], truth: dict[str, float], sample: Predictions, replicates: int
) -> list[list[bool]]:
    """(metrics, 2) whether `evaluate`'s interval and the percentile interval hold the truth."""
    found = evaluate(sample, [bound.name for bound in bounds], replicates=replicates)
    read: dict[Any, Documents] = {}
    result = []
    for bound in bounds:
        family, true = bound.metric.family, truth[bound.name]
        if family not in read:
            read[family] = Documents(family, family.read(sample), replicates)
        ours = found[bound.name]
        low, high = ours.low, ours.high
        if family.closed_form is None:
            low, high = percentiles(bound, read[family])
        result.append([ours.low <= true <= ours.high, low <= true <= high])
    return result


def coverage(
    names: Sequence[str],
    slope: float,
    sizes: Sequence[int],
    data_sets: int,
    truth_size: int,
    replicates: int,
    seed: int,
) -> list[list[str]]:
    """One row of the table for every metric: its true value, and two coverages for every size."""
    bounds = [bind(name) for name in names]
    rng = np.random.default_rng(seed)
    everything = population(truth_size, slope, rng)
    truth = {b.name: b.value(b.metric.family.read(everything)) for b in bounds}
    rows = [[f"`{b.name}`", f"{truth[b.name]:.4f}"] for b in bounds]
    for size in sizes:
        held = [
            covered(bounds, truth, population(size, slope, rng), replicates)
            for _ in range(data_sets)
        ]
        for row, (ours, percentile) in zip(rows, np.mean(held, axis=0), strict=True):
            row.append(f"{100 * ours:.0f} / {100 * percentile:.0f}")
    return rows


def equal_models(size: int, rng: np.random.Generator) -> tuple[Predictions, Predictions]:
    """Two models that know the log-odds of the gold options up to independent noise."""
    known = rng.normal(0.0, 1.5, (size, NUM_OPTIONS))
    gold = (known + rng.gumbel(size=known.shape)).argmax(axis=1)[:, None] == np.arange(NUM_OPTIONS)
    number = np.full(size, NUM_OPTIONS)
    a, b = (known + rng.normal(0.0, 0.7, known.shape) for _ in range(2))
    return Predictions.from_padded(a, number, gold), Predictions.from_padded(b, number, gold)


def told_apart(
    names: Sequence[str], sizes: Sequence[int], data_sets: int, replicates: int, seed: int
) -> list[list[str]]:
    """One row for every metric: how often p is at most .05 for equal models, in %."""
    rows = [[f"`{name}`"] for name in names]
    rng = np.random.default_rng(seed)
    for size in sizes:
        pairs = (equal_models(size, rng) for _ in range(data_sets))
        found = (compare(a, b, names, replicates=replicates).values() for a, b in pairs)
        p = np.array([[difference.p_value for difference in pair] for pair in found])
        for row, share in zip(rows, (p <= 0.05).mean(axis=0), strict=True):
            row.append(f"{100 * share:.0f}")
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts, and a table for each population."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000, 3000])
    parser.add_argument("--pair-sizes", type=int, nargs="+", default=[300])
    parser.add_argument("--data-sets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metrics", nargs="+", default=list(ALL_METRICS))
    parser.add_argument("--truth", type=int, default=2_000_000)
    parser.add_argument("--replicates", type=int, default=199)
    options = parser.parse_args(argv)
    print(machine_facts("numpy", "scipy"))
    sizes = [f"N = {size:,}" for size in options.sizes]
    for name, slope in POPULATIONS.items():
        print(f"\n{name}: % of {options.data_sets} data sets held, ours / percentile\n", flush=True)
        rows = coverage(
            options.metrics,
            slope,
            options.sizes,
            options.data_sets,
            options.truth,
            options.replicates,
            options.seed,
        )
        print(markdown_table(["metric", "true value", *sizes], rows), flush=True)
    print(f"\nequal models told apart, % of {options.data_sets} pairs\n")
    rows = told_apart(
        options.metrics, options.pair_sizes, options.data_sets, options.replicates, options.seed
    )
    print(markdown_table(["metric", *(f"N = {size:,}" for size in options.pair_sizes)], rows))


if __name__ == "__main__":
    main()
