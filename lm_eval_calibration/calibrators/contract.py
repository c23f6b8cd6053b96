"""What every recalibrator is: a fit, a map, and parameters that are arrays.

Two kinds. Those on *options* see a document's whole distribution. Those on *probabilities* are a
curve from a probability to how often it comes true: it is fitted on every option's probability
(one against the rest, Zadrozny and Elkan, 2002), and the mapped ones are divided by their sum; of
predictions that are confidences only, it is the classical binary recalibrator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from lm_eval_calibration.errors import InvalidInputError, invalid
from lm_eval_calibration.predictions import Bools, Floats, Ints, Predictions

Parameters = dict[str, Floats]
SMALLEST = 1e-12
"""Probabilities are kept so far from 0 and 1 before a logarithm is taken."""


class Options(NamedTuple):
    """Beliefs over options: log-probabilities (N, K), how many of K are options (N,), gold (N, K)."""

    logits: Floats
    num_options: Ints
    gold: Bools


@dataclass(frozen=True)
class Method:
    """A recalibrator.

    Attributes:
        name: as the command line has it.
        meaning: one line.
        fit: parameters from beliefs over options.
        apply: mapped logits (N, K) of beliefs, given parameters.
        check: refuses parameters that `fit` cannot have found, for a file may hold anything.
        keeps_order: whether the more probable option stays so, and thus `acc` what it was.
        any_constant: whether logits may carry a constant of their document's own; else they are
            log-probabilities.
        fit_pairs: parameters from confidences (M,) and verdicts (M,), for confidences alone.
        apply_pairs: mapped confidences (M,).
    """

    name: str
    meaning: str
    fit: Callable[[Options], Parameters]
    apply: Callable[[Options, Parameters], Floats]
    check: Callable[[Parameters], object]
    keeps_order: bool = True
    any_constant: bool = False
    fit_pairs: Callable[[Floats, Bools], Parameters] | None = None
    apply_pairs: Callable[[Floats, Parameters], Floats] | None = None


def on_probabilities(
    name: str,
    meaning: str,
    fit_pairs: Callable[[Floats, Bools], Parameters],
    apply_pairs: Callable[[Floats, Parameters], Floats],
    check: Callable[[Parameters], object],
    keeps_order: bool = True,
) -> Method:
    """A recalibrator that is a curve of probabilities."""

    def fit(beliefs: Options) -> Parameters:
        real = np.arange(beliefs.logits.shape[1]) < beliefs.num_options[:, None]
        return fit_pairs(np.exp(beliefs.logits[real]), beliefs.gold[real])

    def apply(beliefs: Options, parameters: Parameters) -> Floats:
        real = np.arange(beliefs.logits.shape[1]) < beliefs.num_options[:, None]
        mapped = np.full(beliefs.logits.shape, -np.inf)
        curve = apply_pairs(np.exp(beliefs.logits[real]), parameters)
        mapped[real] = np.log(np.maximum(curve, SMALLEST))
        return mapped

    return Method(name, meaning, fit, apply, check, keeps_order, False, fit_pairs, apply_pairs)


def labelled(predictions: Predictions) -> Options:
    """The beliefs over options of documents whose right option is known.

    Confidences alone become two options: it is as said, or not.

    Raises:
        InvalidInputError: no document has a right option.
    """
    if predictions.log_probabilities is None:
        c = np.clip(predictions.confidence, SMALLEST, 1 - SMALLEST)
        right = np.asarray(predictions.correct, dtype=bool)
        count = np.full(len(c), 2, dtype=np.intp)
        logits = np.stack([np.log(c), np.log1p(-c)], axis=1)
        return Options(logits, count, np.stack([right, ~right], axis=1))
    assert predictions.gold is not None and predictions.num_options is not None
    known = predictions.gold.any(axis=1)
    if not known.any():
        raise invalid("predictions", "documents with a right option", "none")
    return Options(
        predictions.log_probabilities[known],
        predictions.num_options[known],
        predictions.gold[known],
    )


def transform(method: Method, parameters: Parameters, predictions: Predictions) -> Predictions:
    """The predictions with mapped beliefs; what is predicted stays, where the method keeps order."""
    if predictions.log_probabilities is None:
        return _transform_pairs(method, parameters, predictions)
    assert predictions.gold is not None and predictions.num_options is not None
    beliefs = Options(predictions.log_probabilities, predictions.num_options, predictions.gold)
    logits = method.apply(beliefs, parameters)
    if method.keeps_order:
        assert predictions.predicted is not None
        logits = keep_best(logits, predictions.predicted)
    return Predictions.from_padded(logits, predictions.num_options, predictions.gold)


def _transform_pairs(
    method: Method, parameters: Parameters, predictions: Predictions
) -> Predictions:
    if method.apply_pairs is not None:
        mapped = method.apply_pairs(predictions.confidence, parameters)
        return replace(predictions, confidence=mapped)
    if not method.keeps_order:
        raise InvalidInputError(
            f"`{method.name}` needs the options of each document, and these predictions hold "
            "confidences only."
        )
    logits = method.apply(labelled(predictions), parameters)
    two = Predictions.from_padded(logits, np.full(len(logits), 2), np.zeros(logits.shape, bool))
    assert two.probabilities is not None
    return replace(predictions, confidence=two.probabilities[:, 0])


def keep_best(logits: Floats, predicted: Ints) -> Floats:
    """Logits in which the option predicted before is the first largest: ties fall as they did."""
    best = logits[np.arange(len(logits)), predicted][:, None]
    below = np.nextafter(best, -np.inf)
    earlier = np.arange(logits.shape[1]) < predicted[:, None]
    return np.where(earlier, np.minimum(logits, below), np.minimum(logits, best))
