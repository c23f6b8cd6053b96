"""Runs against the first of them: what is paired, what is tested, what is corrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration.analysis.comparison import COMPARED_METRICS, compare_runs
from lm_eval_calibration.analysis.document_pairing import match
from lm_eval_calibration.logs import Run, Samples
from lm_eval_calibration.metrics.paired import holm, mcnemar
from lm_eval_calibration.predictions import Predictions


def run(label: str, seed: int, noise: float, order: int = 1) -> Run:
    """300 documents that are the same in every run, answered with more or less noise."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(300, 4))
    gold = signal.argmax(axis=1)[::order]
    logits = (signal + noise * np.random.default_rng(seed).normal(size=signal.shape))[::order]
    predictions = Predictions.from_options(logits, gold.tolist())
    normalised = Predictions.from_options(logits / 2, gold.tolist())
    hashes = np.arange(300, dtype=np.uint64)[::order]
    by_length = {"_norm": normalised}
    samples = Samples(label, "toy", Path("x"), predictions, by_length, hashes, hashes.astype(int))
    return Run(label, {"toy": samples}, {"all": ("toy",)})


def test_every_further_run_against_the_first_on_every_scope() -> None:
    runs = match([run("a", 1, 0.5), run("b", 2, 1.0, order=-1), run("c", 3, 2.0)]).runs
    compared = compare_runs(runs, replicates=200)
    assert [(c.first.run, c.second.run, c.first.name) for c in compared] == [
        ("a", "b", "all"),
        ("a", "b", "toy"),
        ("a", "c", "all"),
        ("a", "c", "toy"),
    ]
    first, second = compared[1], compared[3]
    assert tuple(first.differences) == COMPARED_METRICS
    for c in (first, second):
        accuracy = c.differences["acc"]
        assert accuracy.difference == pytest.approx(
            c.second.predictions.correct.mean() - c.first.predictions.correct.mean()
        )
        exact = mcnemar(c.first.predictions.correct, c.second.predictions.correct)
        assert accuracy.p_value == exact.p_value == c.discordant["acc"].p_value
        p_values = [d.p_value for d in c.differences.values()]
        assert list(c.adjusted.values()) == holm(p_values).tolist()
    assert second.differences["acc"].p_value < 0.001 < second.differences["acc"].low + 1


def test_normalised_metrics_are_read_from_normalised_predictions() -> None:
    runs = match([run("a", 1, 0.5), run("b", 2, 1.0)]).runs
    names = ["ece_norm", "acc", "acc_norm"]
    (c, _) = compare_runs(runs, names, replicates=50)
    assert list(c.differences) == names
    assert set(c.discordant) == {"acc", "acc_norm"}
    assert c.differences["acc_norm"].difference == c.differences["acc"].difference
    assert c.differences["ece_norm"].name == "ece_norm"
    assert (
        c.differences["ece_norm"].a
        != compare_runs(runs, ["ece"], replicates=50)[0].differences["ece"].a
    )


def test_a_run_against_itself() -> None:
    runs = match([run("a", 1, 0.5), run("a again", 1, 0.5, order=-1)]).runs
    for c in compare_runs(runs, replicates=50):
        for d in c.differences.values():
            assert (d.difference, d.low, d.high, d.p_value) == (0.0, 0.0, 0.0, 1.0), d.name
