"""How often do the 95 % intervals hold the true value? Simulated, where the truth is known.

    python benchmarks/coverage.py --sizes 50 300 3000 --data-sets 1000

Documents have four options. In the first two populations the options' log-odds are normal and the model
doubles them (`over-confident`) or halves them (`under-confident`); in the others it is calibrated: its
confidences are spread over all that four options allow (`calibrated`, the hard case for a calibration
error, whose true value is 0), or nearly all answers are right (`accurate`, the hard case for rankings).
`clustered`: calibrated on average, in clusters of ten documents whose verdicts correlate by about .3.
The true value of a metric is that of `--truth` documents. Beside the interval that `evaluate` gives
stands the percentile interval of the same replicates (of `clustered`: the interval that takes each
document for independent). The last table tests pairs of equally good models, which differ by noise
alone: 5 in 100 may be told apart.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from common import machine_facts, markdown_table, use_one_thread

use_one_thread()

import numpy as np  # noqa: E402

from lm_eval_calibration import Predictions  # noqa: E402
from lm_eval_calibration.metrics import BoundMetric, all_names, bind, compare, evaluate  # noqa: E402
from lm_eval_calibration.metrics.documents import Documents  # noqa: E402

NUM_OPTIONS = 4
CLUSTER = 10
ALIKE = 0.45
"""Correlation of what makes the documents of a cluster right, which gives their verdicts one of .3."""


class Sample(NamedTuple):
    """Documents, and which of them belong together, if any do."""

    predictions: Predictions
    clusters: np.ndarray | None = None


def scaled(factor: float) -> Callable[[int, np.random.Generator], Sample]:
    """Documents whose true log-odds a model multiplies."""

    def draw(size: int, rng: np.random.Generator) -> Sample:
        known = rng.normal(0.0, 1.5, (size, NUM_OPTIONS))
        gold = (known + rng.gumbel(size=known.shape)).argmax(axis=1)
        return Sample(_predictions(factor * known, gold))

    return draw


def _of_confidences(top: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, K) probabilities, in any order, the largest as given."""
    rest = rng.dirichlet([2.0] * (NUM_OPTIONS - 1), len(top)) * (1.0 - top)[:, None]
    return rng.permuted(np.concatenate([top[:, None], rest], axis=1), axis=1)


def calibrated(
    confidences: Callable[[int, np.random.Generator], np.ndarray],
) -> Callable[[int, np.random.Generator], Sample]:
    """Documents whose gold options are drawn from what a model says."""

    def draw(size: int, rng: np.random.Generator) -> Sample:
        p = _of_confidences(confidences(size, rng), rng)
        gold = (rng.random((size, 1)) > p.cumsum(axis=1)).sum(axis=1)
        return Sample(_predictions(_log(p), np.minimum(gold, NUM_OPTIONS - 1)))

    return draw


def clustered(size: int, rng: np.random.Generator) -> Sample:
    """Calibrated on average, and the documents of a cluster right together."""
    from scipy.special import ndtr

    cluster = np.arange(size) // CLUSTER
    common, own = rng.normal(size=cluster.max() + 1)[cluster], rng.normal(size=size)
    luck = ndtr(np.sqrt(ALIKE) * common + np.sqrt(1 - ALIKE) * own)
    p = _of_confidences(spread(size, rng), rng)
    order = np.argsort(
        -p, axis=1
    )  # the likeliest first, so that luck is one thing for all documents
    ranked = np.take_along_axis(p, order, axis=1).cumsum(axis=1)
    place = np.minimum((luck[:, None] > ranked).sum(axis=1), NUM_OPTIONS - 1)
    return Sample(_predictions(_log(p), order[np.arange(size), place]), cluster)


def spread(size: int, rng: np.random.Generator) -> np.ndarray:
    """Confidences from 1/4 to 1."""
    return 0.25 + 0.75 * rng.beta(1.2, 1.0, size)


def _log(p: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(p)


def _predictions(logits: np.ndarray, gold: np.ndarray) -> Predictions:
    right = gold[:, None] == np.arange(NUM_OPTIONS)
    return Predictions.from_padded(logits, np.full(len(logits), NUM_OPTIONS), right)


POPULATIONS: dict[str, Callable[[int, np.random.Generator], Sample]] = {
    "over-confident": scaled(2.0),
    "under-confident": scaled(0.5),
    "calibrated": calibrated(spread),
    "accurate": calibrated(lambda size, rng: 1.0 - 0.75 * rng.beta(1.0, 30.0, size)),
    "clustered": clustered,
}


def percentiles(bound: BoundMetric, documents: Documents) -> tuple[float, float]:
    """The percentile interval; NaN, which holds nothing, where no replicate has a value."""
    draws = documents.bootstrap.draws(bound.score)
    defined = draws[np.isfinite(draws)]
    low, high = np.quantile(defined, [0.025, 0.975]) if defined.size else (np.nan, np.nan)
    return float(low), float(high)


def covered(
    bounds: Sequence[BoundMetric], truth: dict[str, float], sample: Sample, replicates: int
) -> list[list[float]]:
    """(metrics, 3) whether `evaluate`'s interval and the rival hold the truth, and how wide ours is."""
    names = [bound.name for bound in bounds]
    p, clusters = sample
    found = evaluate(p, names, replicates=replicates, clusters=clusters)
    rival = {} if clusters is None else evaluate(p, names, replicates=replicates)
    read: dict[Any, Documents] = {}
    result = []
    for bound in bounds:
        family, true = bound.metric.family, truth[bound.name]
        if family not in read:
            read[family] = Documents(family, family.read(p), replicates)
        ours = found[bound.name]
        low, high = ours.low, ours.high
        if rival:
            low, high = rival[bound.name].low, rival[bound.name].high
        elif family.closed_form is None:
            low, high = percentiles(bound, read[family])
        none = math.isnan(ours.low)  # (no interval is printed, so none is wrong)
        held = math.nan if none else float(ours.low <= true <= ours.high)
        result.append([held, float(low <= true <= high), ours.high - ours.low])
    return result


def coverage(
    names: Sequence[str],
    draw: Callable[[int, np.random.Generator], Sample],
    sizes: Sequence[int],
    data_sets: int,
    truth_size: int,
    replicates: int,
    seed: int,
) -> list[list[str]]:
    """One row of the table for every metric: its true value, and for every size both coverages and the width."""
    bounds = [bind(name) for name in names]
    rng = np.random.default_rng(seed)
    everything = draw(truth_size, rng).predictions
    truth = {b.name: b.value(b.metric.family.read(everything)) for b in bounds}
    rows = [[f"`{b.name}`", f"{truth[b.name]:.4f}"] for b in bounds]
    for size in sizes:
        held = [covered(bounds, truth, draw(size, rng), replicates) for _ in range(data_sets)]
        means = np.nanmean(np.where(np.isinf(held), np.nan, held), axis=0)
        for row, (ours, other, width) in zip(rows, means, strict=True):
            row.append(
                "no interval"
                if np.isnan(ours)
                else f"{100 * ours:.0f} / {100 * other:.0f} ({width:.3f})"
            )
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
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 50, 100, 300, 1000, 3000])
    parser.add_argument("--pair-sizes", type=int, nargs="*", default=[300])
    parser.add_argument("--populations", nargs="+", choices=POPULATIONS, default=list(POPULATIONS))
    parser.add_argument("--data-sets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--metrics", nargs="+", default=list(all_names()))
    parser.add_argument("--truth", type=int, default=2_000_000)
    parser.add_argument("--replicates", type=int, default=199)
    options = parser.parse_args(argv)
    print(machine_facts("numpy", "scipy"))
    sizes = [f"N = {size:,}" for size in options.sizes]
    for name in options.populations:
        print(
            f"\n{name}: % of {options.data_sets} data sets held, ours / rival (mean width)\n",
            flush=True,
        )
        rows = coverage(
            options.metrics,
            POPULATIONS[name],
            options.sizes,
            options.data_sets,
            options.truth,
            options.replicates,
            options.seed,
        )
        print(markdown_table(["metric", "true value", *sizes], rows), flush=True)
    if not options.pair_sizes:
        return
    print(f"\nequal models told apart, % of {options.data_sets} pairs\n")
    rows = told_apart(
        options.metrics, options.pair_sizes, options.data_sets, options.replicates, options.seed
    )
    print(markdown_table(["metric", *(f"N = {size:,}" for size in options.pair_sizes)], rows))


if __name__ == "__main__":
    main()
