"""Smooth ECE against its definition: reflected Gaussians summed one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lm_eval_calibration.metrics import smece

TOLERANCE = 1e-5  # the reference bisects to 4e-6


def _reference_reflected_gaussians(confidence: Any, correct: Any, points: int = 3000) -> float:
    """The fixed point of s -> integral |mean of r_n K_s(t, c_n)| dt, K_s by the method of images.

    A Gaussian reflected at 0 and 1 is the sum of the Gaussians at 2 k + c and 2 k - c; for s <= 1
    those with |k| <= 3 hold all but 1e-6 of the mass.
    """
    confidence, residual = np.asarray(confidence), np.asarray(confidence) - np.asarray(correct)
    levels, level = np.unique(confidence, return_inverse=True)
    mass = np.bincount(level, residual) / len(confidence)
    t = (np.arange(points) + 0.5) / points
    shifts = 2.0 * np.arange(-3, 4)
    centres = np.concatenate([levels[:, None] + shifts, shifts - levels[:, None]], axis=1)

    def smoothed(s: float) -> float:
        total = np.zeros(points)
        for m, images in zip(mass, centres, strict=True):
            kernel = np.exp(-0.5 * ((t - images[:, None]) / s) ** 2).sum(axis=0)
            total += m * kernel / (s * np.sqrt(2 * np.pi))
        return float(np.abs(total).mean())

    low, high = 0.0, 1.0
    for _ in range(18):
        s = 0.5 * (low + high)
        low, high = (s, high) if smoothed(s) > s else (low, s)
    return 0.5 * (low + high)


def _case(name: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    if name == "overconfident":
        c = rng.uniform(0.02, 0.98, 60)
        return c, rng.random(60) < c**3
    if name == "ends":
        c = np.repeat([0.0, 1.0, 0.5, 0.999], 10)
        return c, rng.random(40) < 0.4 + 0.3 * c
    if name == "grid":
        c = rng.integers(0, 11, 200) / 10
        return c, rng.random(200) < 0.9 * c
    if name == "calibrated":
        c = rng.random(2000)
        return c, rng.random(2000) < c
    if name == "opposite gaps":  # the mean residual is 0
        return np.repeat([0.3, 0.9], 20), np.repeat([1, 0, 1, 0], [12, 8, 12, 8])
    return np.array([0.8]), np.array([0])


@pytest.mark.parametrize("name", ["overconfident", "ends", "grid", "opposite gaps", "one document"])
def test_equals_its_definition(name: str) -> None:
    confidence, correct = _case(name)
    expected = _reference_reflected_gaussians(confidence, correct)
    assert smece(confidence, correct) == pytest.approx(expected, abs=TOLERANCE)


def test_mass_at_one_has_its_full_weight() -> None:
    # Half at 1.0 with accuracy .6 (gap .4), half at .5 with accuracy .5: .4 / 2 = .2 (relplot: .1355).
    confidence = np.repeat([1.0, 0.5], 1000)
    correct = np.repeat([1, 0, 1, 0], [600, 400, 500, 500])
    assert smece(confidence, correct) == pytest.approx(0.2, abs=1e-3)


def test_certain_and_wrong_is_one() -> None:
    assert smece(np.ones(5), np.zeros(5)) == pytest.approx(1.0)


def test_calibrated_in_every_point_is_zero() -> None:
    assert smece(np.full(4, 0.25), np.array([1, 0, 0, 0])) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["overconfident", "ends", "grid", "calibrated"])
def test_replicates_on_the_coarser_grid_are_as_good(name: str) -> None:
    confidence, correct = _case(name)
    n = len(correct)
    weight = np.random.default_rng(3).multinomial(n, np.full(n, 1 / n), 300)
    together = smece(confidence, correct, weight=weight)
    separate = [smece(confidence, correct, weight=w) for w in weight[::30]]
    assert together.shape == (300,)
    assert together[::30].tolist() == pytest.approx(separate, abs=TOLERANCE)


@pytest.mark.parametrize("name", ["overconfident", "ends", "grid", "calibrated"])
def test_zero_and_one_are_mirror_images(name: str) -> None:
    confidence, correct = _case(name)
    mirrored = smece(1.0 - confidence, 1 - correct)
    assert mirrored == pytest.approx(smece(confidence, correct), abs=1e-9)
