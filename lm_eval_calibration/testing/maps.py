"""What a recalibrator's own functions obey, before anything of ours comes between."""

from __future__ import annotations

import itertools

import numpy as np

from lm_eval_calibration.calibrators.contract import Method, Options, Parameters, labelled
from lm_eval_calibration.predictions import Bools, Floats, Predictions
from lm_eval_calibration.ragged import starts_of
from lm_eval_calibration.testing.laws import holds, law

ROUNDING = 1e-9


@law
def finds_numbers(method: Method, beliefs: Options) -> Parameters:
    """`fit` must find parameters without a warning: arrays of float64 by name, all finite."""
    found = method.fit(beliefs)
    holds(isinstance(found, dict), f"`fit` must give a dict, got {type(found).__name__}")
    for name, value in found.items():
        told = getattr(value, "dtype", type(value).__name__)
        holds(
            isinstance(value, (np.ndarray, np.floating)) and value.dtype == np.float64,
            f"parameters must be arrays of float64, got {told} for {name!r}",
        )
        holds(np.isfinite(value).all(), f"parameters must be finite, got {value} for {name!r}")
    method.check(found)
    return found


def _apply(method: Method, parameters: Parameters, beliefs: Options) -> Floats:
    found = np.asarray(method.apply(beliefs, parameters))
    holds(
        found.shape == beliefs.logits.shape and found.dtype.kind == "f",
        f"`apply` must give floating-point numbers of shape {beliefs.logits.shape}, got {found.dtype} of "
        f"shape {found.shape}",
    )
    holds(not np.isnan(found).any(), "`apply` must not give NaN")
    holds((found < np.inf).all(), "`apply` must not give infinity")
    return found


@law
def maps_beliefs_alone(method: Method, drawn: Predictions) -> None:
    """`apply` must be a function of each document's beliefs, and change nothing."""
    beliefs = labelled(drawn)
    parameters = finds_numbers(method, beliefs)
    before = {name: np.array(value) for name, value in parameters.items()}
    given = beliefs.logits.copy()
    found = _apply(method, parameters, beliefs)
    holds(np.array_equal(beliefs.logits, given), "the beliefs that it is given must not be changed")
    holds(
        all(np.array_equal(before[name], parameters[name]) for name in before),
        "`apply` must not change the parameters",
    )
    for gold in (~beliefs.gold, np.zeros_like(beliefs.gold)):
        again = _apply(method, parameters, beliefs._replace(gold=gold))
        holds(np.array_equal(again, found), "`apply` must not read which option is right")
    _each_alone(method, parameters, beliefs, found)
    if method.keeps_order:
        _keeps_order(beliefs, found)


def _each_alone(method: Method, parameters: Parameters, beliefs: Options, found: Floats) -> None:
    starts = starts_of(beliefs.num_options)
    for i, (start, end) in enumerate(itertools.pairwise(starts)):
        here = slice(start, end)
        one = Options(beliefs.logits[here], beliefs.num_options[[i]], beliefs.gold[here])
        alone = _apply(method, parameters, one)
        holds(
            np.allclose(_shares(alone), _shares(found[here]), rtol=0, atol=ROUNDING),
            "`apply` must map a document alone as it does among others",
        )


def _shares(logits: Floats) -> Floats:
    """Probabilities of one document's options."""
    best = logits.max()
    holds(best > -np.inf, "`apply` must leave a document at least one option")
    scaled: Floats = np.exp(logits - best)
    return scaled / scaled.sum()


def _keeps_order(beliefs: Options, found: Floats) -> None:
    """Options that were equal stay so, and none overtakes another."""
    starts = starts_of(beliefs.num_options)
    for start, end in itertools.pairwise(starts):
        was, now = beliefs.logits[start:end], _shares(found[start:end])
        order = np.argsort(was, kind="stable")
        rises = np.diff(now[order])
        same: Bools = was[order][1:] == was[order][:-1]
        holds(
            (rises >= -ROUNDING).all() and (abs(rises[same]) <= ROUNDING).all(),
            "`keeps_order`: the more probable option must stay so, and equal ones equal, got "
            f"{now.round(4).tolist()} of log-probabilities {was.round(4).tolist()}",
        )
