"""Each wrong calibrator is caught by the law that it breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.calibrators import METHODS
from lm_eval_calibration.calibrators.contract import Method, Options
from lm_eval_calibration.ragged import starts_of
from lm_eval_calibration.testing import check_calibrator

RIGHT = METHODS["temperature"]


def broken(**changes: Any) -> Method:
    return replace(RIGHT, **{"name": "broken", **changes})


def changes_parameters(beliefs: Options, parameters: Any) -> Any:
    found = RIGHT.apply(beliefs, parameters)
    parameters["temperature"] *= 2
    return found


def prefers_the_first(beliefs: Options, parameters: Any) -> Any:
    found = RIGHT.apply(beliefs, parameters)
    found[starts_of(beliefs.num_options)[:-1]] += 0.01
    return found


def in_place(beliefs: Options, parameters: Any) -> Any:
    beliefs.logits[:] /= 2
    return beliefs.logits


def temperature(value: Any) -> Any:
    return lambda beliefs: {"temperature": value}


def leaps(beliefs: Options) -> Any:
    return {"temperature": np.array(1 + abs(beliefs.logits[0]) % 1)}


def warns(beliefs: Options) -> Any:
    return {"temperature": np.array(1.0 + (np.log(np.zeros(1))[0] == 0))}


def unweighted(beliefs: Options) -> Any:
    return RIGHT.fit(beliefs._replace(weight=None))


FITS: list[tuple[Any, str]] = [
    (temperature([1.0]), "arrays of float64, got list"),
    (temperature(np.array(1)), "arrays of float64, got int64"),
    (temperature(np.array(np.nan)), "must be finite"),
    (lambda beliefs: [1.0], "`fit` must give a dict, got list"),
    (warns, "without a warning.*divide by zero"),
    (leaps, "the order of documents"),
    (temperature(np.array(1.0)), "NLL must fall"),
]
APPLIES: list[tuple[Any, str]] = [
    (lambda b, p: b.logits + b.gold, "must not read which option is right"),
    (lambda b, p: b.logits - 0.1 * (len(b.num_options) > 1) * (b.logits > -1), "alone as it does"),
    (changes_parameters, "must not change the parameters"),
    (in_place, "beliefs that it is given must not be changed"),
    (prefers_the_first, "`keeps_order`"),
    (lambda b, p: b.logits[:-1], "floating-point numbers of shape"),
    (lambda b, p: np.zeros(len(b.logits), int), "floating-point numbers of shape"),
    (lambda b, p: b.logits * np.nan, "must not give NaN"),
    (lambda b, p: np.abs(b.logits), "must not give infinity"),
    (lambda b, p: np.full_like(b.logits, -np.inf), "at least one option"),
    (lambda b, p: 1 / 0, "Got ZeroDivisionError"),
]
OTHERS: list[tuple[Any, str]] = [
    (3, "is a `Method`.*got int"),
    (broken(name=""), "its name must be"),
    (broken(name="has space/.."), "its name must be"),
    (broken(name="temperature"), "is that of one of ours"),
    (broken(meaning=""), "`meaning` must be one line"),
    (broken(meaning="two\nlines"), "`meaning` must be one line"),
    (broken(apply_pairs=lambda c, p: c), "go together"),
    (broken(check=lambda parameters: None), "`check` must refuse"),
    (broken(fit=unweighted, weighted=True), "`weighted`: weights must be repetitions"),
]


@pytest.mark.parametrize(
    ("method", "law"),
    [
        *[(broken(fit=fit), law) for fit, law in FITS],
        *[(broken(apply=apply), law) for apply, law in APPLIES],
        *OTHERS,
    ],
)
def test_it_is_caught(method: Any, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_calibrator(method, cases=8)
