"""The contests of `metrics.py`: each of our metrics beside every package that computes the same.

Both sides get their inputs in their own format, made beforehand: numpy arrays (float64, boolean
verdicts) for us, tensors for torchmetrics, integer verdicts for uncertainty-calibration. All have
15 bins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import calibration
import numpy as np
import torch
from model_diagnostics.scoring import SquaredError, decompose
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)
from torchmetrics.functional.classification.calibration_error import _ce_compute

from lm_eval_calibration import metrics as ours

NUM_BINS = 15
NUM_OPTIONS = 4
TORCHMETRICS_TARGET = 10.0
UNCERTAINTY_CALIBRATION_TARGET = 50.0

Score = Callable[[], Any]
Norm = Literal["l1", "l2", "max"]
Array = NDArray[Any]


@dataclass(frozen=True)
class Contest:
    """One of our metrics and one peer (or none) on the same documents.

    Attributes:
        metric: our name of it.
        ours: our call, without arguments.
        peer: who, and through which function; "none" where nothing installed computes it.
        theirs: the peer's call.
        target: how many times faster than a public function we mean to be on a million documents.
    """

    metric: str
    ours: Score
    peer: str = "none"
    theirs: Score | None = None
    target: float | None = None


@dataclass(frozen=True)
class Sample:
    """N overconfident four-option answers.

    probabilities (N, 4); gold and predicted (N,) positions; confidence and correct (N,).
    """

    probabilities: Array
    gold: Array
    predicted: Array
    confidence: Array
    correct: Array


def sample(size: int, seed: int = 0) -> Sample:
    """Draw `size` documents whose true probabilities are 1.5 times as soft as the stated ones."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(size, NUM_OPTIONS))
    probabilities, truth = _softmax(logits), _softmax(logits / 1.5)
    gold = (rng.random((size, 1)) >= truth.cumsum(axis=1)[:, :-1]).sum(axis=1)
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    return Sample(probabilities, gold, predicted, confidence, predicted == gold)


def contests(documents: Sample) -> Iterator[Contest]:
    """Every metric against every peer, on `documents`."""
    c, y = documents.confidence, documents.correct
    yield from _ece_contests(documents)
    yield from _norm_contests(c, y)
    yield from _class_contests(documents)
    yield from _ranking_contests(c, y)
    yield Contest("smece", partial(ours.smece, c, y))
    yield Contest(
        "brier_reliability",
        partial(ours.brier_reliability, c, y),
        "model-diagnostics `decompose`",
        partial(_model_diagnostics_miscalibration, c, y.astype(np.float64)),
    )


def _ece_contests(documents: Sample) -> Iterator[Contest]:
    """ECE against torchmetrics' kernel and public functions, and uncertainty-calibration."""
    c, y = documents.confidence, documents.correct
    score = partial(ours.ece, c, y)
    for peer, call in _torchmetrics(c, y, "l1"):
        target = None if "_ce_compute" in peer else TORCHMETRICS_TARGET
        yield Contest("ece", score, peer, call, target)
    yield Contest(
        "ece",
        score,
        "uncertainty-calibration `get_ece`",
        partial(calibration.get_ece, c, y.astype(np.intp)),
        UNCERTAINTY_CALIBRATION_TARGET,
    )
    yield Contest(
        "ece from (N, 4)",
        partial(_ece_of_options, documents.probabilities, documents.gold),
        "torchmetrics `multiclass_calibration_error`, float32",
        partial(
            multiclass_calibration_error,
            torch.tensor(documents.probabilities, dtype=torch.float32),
            torch.tensor(documents.gold),
            NUM_OPTIONS,
            NUM_BINS,
            "l1",
        ),
    )


def _norm_contests(c: Array, y: Array) -> Iterator[Contest]:
    """The other binned errors of (confidence, correct)."""
    correct = y.astype(np.intp)
    bound = calibration.lower_bound_scaling_ce
    equal_width = calibration.get_equal_prob_bins
    yield Contest(
        "ace",
        partial(ours.ace, c, y),
        "uncertainty-calibration `get_ece_em`",
        partial(calibration.get_ece_em, c, correct),
    )
    for peer, call in _torchmetrics(c, y, "max"):
        yield Contest("mce", partial(ours.mce, c, y), peer, call)
    rmsce = partial(ours.rmsce, c, y)
    for peer, call in _torchmetrics(c, y, "l2"):
        yield Contest("rmsce", rmsce, peer, call)
    yield Contest(
        "rmsce",
        rmsce,
        "uncertainty-calibration `lower_bound_scaling_ce`",
        partial(bound, c, correct, p=2, debias=False, binning_scheme=equal_width),
    )
    yield Contest(
        "debiased_ece",
        partial(ours.debiased_ece, c, y),
        "uncertainty-calibration `lower_bound_scaling_ce`",
        partial(bound, c, correct, p=2, debias=True, binning_scheme=equal_width),
    )


def _class_contests(documents: Sample) -> Iterator[Contest]:
    """Errors within classes and of all options."""
    d = documents
    yield Contest("tl_ece", partial(ours.tl_ece, d.confidence, d.correct, d.predicted))
    one_hot = d.gold[:, None] == np.arange(NUM_OPTIONS)
    yield Contest(
        "classwise_ece",
        partial(ours.classwise_ece, d.probabilities, one_hot),
        "uncertainty-calibration `get_ece(mode='marginal')`",
        partial(calibration.get_ece, d.probabilities, d.gold, mode="marginal"),
    )


def _ranking_contests(c: Array, y: Array) -> Iterator[Contest]:
    """AUROC and the risk-coverage curve."""
    yield Contest(
        "auroc",
        partial(ours.auroc, c, y),
        "scikit-learn `roc_auc_score`",
        partial(roc_auc_score, y, c),
    )
    yield Contest(
        "aurc",
        partial(ours.aurc, c, y),
        "uncertainty-calibration `1 - get_selective_stats`",
        partial(_uncertainty_calibration_aurc, c, y),
    )
    yield Contest("eaurc", partial(ours.eaurc, c, y))
    yield Contest("prr", partial(ours.prr, c, y))


def _torchmetrics(c: Array, y: Array, norm: Norm) -> Iterator[tuple[str, Score]]:
    """Three routes of torchmetrics from (confidence, correct), the fastest first.

    The kernel is private: it neither validates nor converts. In float32 it is at its fastest, in
    float64 it has our precision. The public function is what a user calls.
    """
    single = torch.tensor(c, dtype=torch.float32)
    double, right = torch.tensor(c), torch.tensor(y)
    yield (
        "torchmetrics `_ce_compute`, float32",
        partial(_ce_compute, single, right.float(), NUM_BINS, norm),
    )
    yield (
        "torchmetrics `_ce_compute`, float64",
        partial(_ce_compute, double, right.double(), NUM_BINS, norm),
    )
    yield (
        "torchmetrics `binary_calibration_error`, float32",
        partial(binary_calibration_error, single, right.long(), NUM_BINS, norm),
    )


def _ece_of_options(probabilities: Array, gold: Array) -> float:
    """Our ECE from the same input as torchmetrics' multiclass function."""
    predicted = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(gold)), predicted]
    return float(ours.ece(confidence, predicted == gold))


def _uncertainty_calibration_aurc(c: Array, y: Array) -> float:
    """One less the area under the accuracy-coverage curve; ties keep their row order."""
    return float(1.0 - calibration.get_selective_stats(c, y)[0])


def _model_diagnostics_miscalibration(c: Array, y: Array) -> float:
    return float(decompose(y, c, scoring_function=SquaredError())["miscalibration"][0])


def _softmax(logits: Array) -> Array:
    weight = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))
