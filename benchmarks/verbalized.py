"""Printed probabilities of a model whose temperature is known: what each map makes of them.

    python benchmarks/verbalized.py

True distributions are a softmax of normal logits; the model is over-confident by T = 2 and prints its
probabilities rounded. 200 documents to fit on, 5,000 to score, eight seeds; means over them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from common import machine_facts, markdown_table
from scipy.special import softmax

from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.calibrators.contract import labelled
from lm_eval_calibration.calibrators.inverse_softmax import fit_at
from lm_eval_calibration.metrics import evaluate
from lm_eval_calibration.predictions import Predictions

SPREAD, TRUE = 1.5, 2.0
FITTED, SCORED, SEEDS = 200, 5000, 8
SETTINGS = [(2, 0.01), (2, 0.05), (6, 0.01), (6, 0.05)]
FLOORS = (1e-12, 1e-6, 1e-4, 1e-3, 3e-3, 1e-2)


def printed(count: int, options: int, step: float, seed: int) -> Predictions:
    """Rounded over-confident probabilities, and options drawn from the true ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, SPREAD, (count, options))
    gold = (softmax(logits, axis=1).cumsum(axis=1) < rng.random(count)[:, None]).sum(axis=1)
    shown = np.round(softmax(TRUE * logits, axis=1) / step) * step
    with np.errstate(divide="ignore"):
        return Predictions.from_options(np.log(shown), np.minimum(gold, options - 1).tolist())


def at(floor: float) -> Callable[[Predictions], Calibrator]:
    """Inverse softmax at a floor."""
    return lambda p: Calibrator("inverse_softmax", {"": fit_at(labelled(p), floor)})


METHODS: dict[str, Callable[[Predictions], Calibrator]] = {
    "re-softmax": lambda p: fit("resoftmax", p),
    **{f"inverse softmax, floor {floor:g}": at(floor) for floor in FLOORS},
    "inverse softmax, floor by NLL": lambda p: fit("inverse_softmax", p),
}


def cell(method: Callable[[Predictions], Calibrator], options: int, step: float) -> str:
    """Mean ECE, NLL and temperature."""
    found = []
    for seed in range(SEEDS):
        calibrator = method(printed(FITTED, options, step, 2 * seed))
        after = calibrator.transform(printed(SCORED, options, step, 2 * seed + 1))
        figures = evaluate(after, ["ece", "nll"], replicates=0)
        temperature = float(calibrator.parameters[""]["temperature"])
        found.append((figures["ece"].value, figures["nll"].value, temperature))
    ece, nll, temperature = np.mean(found, axis=0)
    return f"{ece:.3f} / {nll:.3f}, T {temperature:.2f}"


def main() -> None:
    """Print the table."""
    print(machine_facts("numpy", "scipy"), end="\n\n")
    header = ["ECE / NLL, T", *(f"K = {k}, step {step:g}" for k, step in SETTINGS)]
    rows = [[name, *(cell(method, *s) for s in SETTINGS)] for name, method in METHODS.items()]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
