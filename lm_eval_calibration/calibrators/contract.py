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
from lm_eval_calibration.ragged import positions, starts_of

Parameters = dict[str, Floats]
SMALLEST = 1e-12
"""Probabilities are kept so far from 0 and 1 before a logarithm is taken."""
LEAST_STEP = 1e-13
"""Of their size: by so much an option that would overtake the predicted one is put below it, so that
it stays there when logits are normalised."""


class Options(NamedTuple):
    """Beliefs over all documents' options, T in all, one document after another.

    Documents may have different numbers of options. To `fit`, every document has a right option;
    those without one were left out before.

    Attributes:
        logits: (T,) log-probabilities, float64; -inf is probability 0, which the right option may
            have, too.
        num_options: (N,) how many of the T are each document's, at least 1.
        gold: (T,) a mask: which options are right, one or several of a document; `apply` may not
            read it.
        weight: (N,) how many documents each stands for; `None` for one each. Only `fit` reads it.
    """

    logits: Floats
    num_options: Ints
    gold: Bools
    weight: Floats | None = None


@dataclass(frozen=True)
class Method:
    """A recalibrator.

    Attributes:
        name: as the command line has it.
        meaning: one line.
        fit: parameters from beliefs over options, arrays of float64 by name.
        apply: mapped logits (T,) of beliefs, given parameters; each document's from its own alone.
            They need not be normalised: a softmax over each document's options follows.
        check: refuses parameters that `fit` cannot have found, for a file may hold anything.
        keeps_order: whether the more probable option stays so, and thus `acc` what it was. What is
            then mapped above the option predicted before, by rounding, is cut off at it.
        any_constant: whether logits may carry a constant of their document's own, as of a map that
            multiplies them; they are then the log-likelihoods themselves where a model is wrapped,
            else log-probabilities.
        label_free: whether `fit` reads no labels: it is then given documents without a right option, too,
            and may be used on the very documents that it was fitted on, which is said.
        weighted: whether `fit` heeds weights; `fit_pairs` then takes them, too, as a third argument (M,).
        fit_pairs: parameters from confidences (M,) and verdicts (M,), for confidences alone.
        apply_pairs: mapped confidences (M,), in [0, 1]; given if and only if `fit_pairs` is.
    """

    name: str
    meaning: str
    fit: Callable[[Options], Parameters]
    apply: Callable[[Options, Parameters], Floats]
    check: Callable[[Parameters], object]
    keeps_order: bool = True
    any_constant: bool = False
    label_free: bool = False
    fit_pairs: Callable[..., Parameters] | None = None
    apply_pairs: Callable[[Floats, Parameters], Floats] | None = None
    weighted: bool = False


def on_probabilities(
    name: str,
    meaning: str,
    fit_pairs: Callable[..., Parameters],
    apply_pairs: Callable[[Floats, Parameters], Floats],
    check: Callable[[Parameters], object],
    keeps_order: bool = True,
    weighted: bool = False,
) -> Method:
    """A recalibrator that is a curve of probabilities."""

    def fit(beliefs: Options) -> Parameters:
        if beliefs.weight is None:
            return fit_pairs(np.exp(beliefs.logits), beliefs.gold)
        each = np.repeat(beliefs.weight, beliefs.num_options)
        return fit_pairs(np.exp(beliefs.logits), beliefs.gold, each)

    def apply(beliefs: Options, parameters: Parameters) -> Floats:
        return np.log(np.maximum(apply_pairs(np.exp(beliefs.logits), parameters), SMALLEST))

    return Method(
        name, meaning, fit, apply, check, keeps_order, fit_pairs=fit_pairs, apply_pairs=apply_pairs,
        weighted=weighted,
    )  # fmt: skip


def labelled(predictions: Predictions, weight: Floats | None = None) -> Options:
    """The beliefs over options of documents whose right option is known.

    Confidences alone become two options: it is as said, or not.

    Args:
        predictions: N documents.
        weight: (N,) how many each stands for.

    Raises:
        InvalidInputError: no document has a right option.
    """
    if predictions.options is None:
        c = np.clip(predictions.confidence, SMALLEST, 1 - SMALLEST)
        right = np.asarray(predictions.correct, dtype=bool)
        count = np.full(len(c), 2, dtype=np.intp)
        logits = np.stack([np.log(c), np.log1p(-c)], axis=1)
        return Options(logits.ravel(), count, np.stack([right, ~right], axis=1).ravel(), weight)
    golds = predictions.golds
    assert golds is not None
    known = np.logical_or.reduceat(golds.values, starts_of(golds.count)[:-1])
    if not known.any():
        raise invalid("predictions", "documents with a right option", "none")
    if not known.all():
        predictions = predictions.take(np.flatnonzero(known))
        weight = None if weight is None else weight[known]
    return options_of(predictions, weight)


def options_of(predictions: Predictions, weight: Floats | None = None) -> Options:
    """The beliefs over options of predictions that have them."""
    assert predictions.options is not None and predictions.golds is not None
    options = predictions.options
    return Options(options.values, options.count, predictions.golds.values, weight)


def transform(method: Method, parameters: Parameters, predictions: Predictions) -> Predictions:
    """The predictions with mapped beliefs; what is predicted stays, where the method keeps order."""
    if predictions.options is None:
        return _transform_pairs(method, parameters, predictions)
    beliefs = options_of(predictions)
    logits = applied(method, parameters, beliefs)
    if method.keeps_order:
        assert predictions.predicted is not None
        logits = keep_best(logits, beliefs.num_options, predictions.predicted)
    return _believed(method, logits, beliefs)


def applied(method: Method, parameters: Parameters, beliefs: Options) -> Floats:
    """What a method maps beliefs to.

    Raises:
        InvalidInputError: it is not one number for each option.
    """
    logits = np.asarray(method.apply(beliefs, parameters))
    return numbers(method, logits, beliefs.logits.shape)


def numbers(method: Method, found: Floats, shape: tuple[int, ...]) -> Floats:
    """What a method gave, once it has been looked at.

    Raises:
        InvalidInputError: it is not as many floating-point numbers.
    """
    if found.dtype.kind != "f" or found.shape != shape:
        got = f"{found.dtype} of shape {found.shape}"
        raise InvalidInputError(
            f"The calibrator `{method.name}` must give floating-point numbers of shape {shape}, got {got}."
        )
    if np.isnan(found).any():
        raise InvalidInputError(f"The calibrator `{method.name}` gave NaN.")
    return found


def _believed(method: Method, logits: Floats, beliefs: Options) -> Predictions:
    """Predictions from what a method gave, which an error names."""
    try:
        return Predictions.from_flat(logits, beliefs.num_options, beliefs.gold)
    except InvalidInputError as error:
        raise InvalidInputError(
            f"The calibrator `{method.name}` gave what are no beliefs: {error}"
        ) from error


def _transform_pairs(
    method: Method, parameters: Parameters, predictions: Predictions
) -> Predictions:
    if method.apply_pairs is not None:
        given = predictions.confidence
        mapped = numbers(method, np.asarray(method.apply_pairs(given, parameters)), given.shape)
        if not ((mapped >= 0) & (mapped <= 1)).all():
            raise InvalidInputError(
                f"The calibrator `{method.name}` gave confidences outside [0, 1]."
            )
        return replace(predictions, confidence=mapped)
    if not method.keeps_order:
        raise InvalidInputError(
            f"`{method.name}` needs the options of each document, and these predictions hold "
            "confidences only."
        )
    beliefs = labelled(predictions)
    two = _believed(method, applied(method, parameters, beliefs), beliefs)
    assert two.options is not None
    return replace(predictions, confidence=np.exp(two.options.values[::2]))


def keep_best(logits: Floats, num_options: Ints, predicted: Ints) -> Floats:
    """Logits in which the option predicted before is the first largest: ties fall as they did."""
    best = np.repeat(logits[starts_of(num_options)[:-1] + predicted], num_options)
    below = best - LEAST_STEP * (1 + np.abs(best))
    earlier = positions(num_options) < np.repeat(predicted, num_options)
    return np.where(earlier, np.minimum(logits, below), np.minimum(logits, best))
