"""The laws of printed probabilities: what the inverse keeps, and what a re-softmax loses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax

from lm_eval_calibration.calibrators import Calibrator, fit
from lm_eval_calibration.calibrators.contract import Options
from lm_eval_calibration.calibrators.inverse_softmax import FLOORS, fit_at
from lm_eval_calibration.predictions import Predictions

few = settings(derandomize=True, deadline=None, max_examples=60)
vectors = st.lists(st.integers(0, 100), min_size=2, max_size=8).filter(lambda v: sum(v) > 0)


def of(rows: np.ndarray) -> Predictions:
    """Predictions of printed vectors (N, K), the first option gold."""
    with np.errstate(divide="ignore"):
        return Predictions.from_options(np.log(rows), [0] * len(rows))


def inverse(temperature: float, floor: float = 1e-3) -> Calibrator:
    parameters = {"temperature": np.array(temperature), "floor": np.array(floor)}
    return Calibrator("inverse_softmax", {"": parameters})


def mapped(calibrator: Calibrator, rows: np.ndarray) -> np.ndarray:
    p = calibrator.transform(of(np.atleast_2d(rows))).probabilities
    assert p is not None
    return p


@given(vectors, st.floats(0.1, 10), st.floats(0.01, 1000))
@few
def test_laws(v: list[int], temperature: float, factor: float) -> None:
    """T = 1 is the identity, factors cancel, the largest stays, zeros stay finite."""
    row = np.array(v, dtype=float)
    p = row / row.sum()
    floored = np.maximum(p, 1e-3)
    np.testing.assert_allclose(mapped(inverse(1.0), row)[0], floored / floored.sum(), atol=1e-9)
    found = mapped(inverse(temperature), row)[0]
    np.testing.assert_allclose(found, mapped(inverse(temperature), factor * row)[0], atol=1e-9)
    expected = floored ** (1 / temperature) / (floored ** (1 / temperature)).sum()
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found.argmax() == p.argmax() and found.min() >= 0 and np.isfinite(found).all()


@given(st.floats(0.01, 0.99), st.floats(0.1, 10))
@few
def test_two_options_are_the_logistic_of_the_log_odds(p: float, temperature: float) -> None:
    found = mapped(inverse(temperature, 1e-4), np.array([p, 1 - p]))[0, 0]
    assert found == pytest.approx(expit(logit(p) / temperature), abs=1e-9)


@pytest.mark.parametrize("count", [2, 3, 6, 18, 60])
def test_a_re_softmax_has_a_ceiling(count: int) -> None:
    certain = np.zeros(count)
    certain[0] = 1
    at_one = Calibrator("resoftmax", {"": {"temperature": np.array(1.0)}})
    assert mapped(at_one, certain)[0, 0] == pytest.approx(math.e / (math.e + count - 1))
    assert mapped(inverse(1.0), certain)[0, 0] > 0.9


def printed(count: int, options: int, step: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True softmax vectors, over-confident by T = 2, printed with rounding; and who is right."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (count, options))
    truth = softmax(logits, axis=1)
    gold = (truth.cumsum(axis=1) < rng.random(count)[:, None]).sum(axis=1)
    shown = np.round(softmax(2 * logits, axis=1) / step) * step
    return shown, np.minimum(gold, options - 1)


def options_of(shown: np.ndarray, gold: np.ndarray) -> Options:
    with np.errstate(divide="ignore"):
        count = np.full(len(shown), shown.shape[1])
        return Options(
            np.log(shown).ravel(), count, np.eye(shown.shape[1], dtype=bool)[gold].ravel()
        )


@pytest.mark.parametrize("options", [2, 6])
def test_a_known_temperature_is_found_unless_the_floor_is_tiny(options: int) -> None:
    beliefs = options_of(*printed(4000, options, 0.01, 0))
    good, tiny = (float(fit_at(beliefs, floor)["temperature"]) for floor in (1e-3, 1e-12))
    assert good == pytest.approx(2, abs=0.25)
    assert tiny > 3.5


def test_the_floor_is_chosen_and_recorded() -> None:
    shown, gold = printed(500, 4, 0.05, 1)
    with np.errstate(divide="ignore"):
        found = fit("inverse_softmax", Predictions.from_options(np.log(shown), gold.tolist()))
    assert float(found.parameters[""]["floor"]) in FLOORS
    assert found.describe()["parameters"]["all tasks"]["floor"] in FLOORS


def test_ragged_options_are_not_revived() -> None:
    ragged = Predictions.from_options([[0.0, -1.0], [0.0, -1.0, -2.0]], [0, 1])
    p = inverse(2.0, 0.01).transform(ragged).probabilities
    assert p is not None and p[0, 2] == 0 and p[1, 2] > 0
