"""Losses against their formulas, written out in loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal.aggregates import ResponseBelief, aggregate
from lm_eval_calibration.fractal.losses import (
    bag_loss,
    correlation_prior,
    cosine_prior,
    preference_loss,
    sentence_loss,
)

SIZES = [3, 1, 2]


def bags(seed: int) -> tuple[torch.Tensor, torch.Tensor, np.random.Generator]:
    rng = np.random.default_rng(seed)
    mask = torch.arange(4).unsqueeze(0) < torch.tensor(SIZES).unsqueeze(1)
    return torch.from_numpy(rng.normal(size=(3, 4))), mask, rng


def bce(p: float, y: float) -> float:
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_bag_loss(seed: int) -> None:
    z, mask, rng = bags(seed)
    y = rng.integers(2, size=3).astype(float)
    belief = aggregate(z, mask, "min", "hard")
    p = [expit(z[i, :n].numpy().min()) for i, n in enumerate(SIZES)]
    wanted = np.mean([bce(a, b) for a, b in zip(p, y, strict=True)])
    assert float(bag_loss(belief, torch.from_numpy(y))) == pytest.approx(wanted)
    squared = np.mean((np.array(p) - y) ** 2)
    assert float(bag_loss(belief, torch.from_numpy(y), "mse")) == pytest.approx(squared)
    with pytest.raises(InvalidInputError, match="bce or mse"):
        bag_loss(belief, torch.from_numpy(y), "mae")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_priors(seed: int) -> None:
    z, mask, rng = bags(seed)
    cosine = rng.uniform(-1, 1, (3, 4))
    rho = rng.uniform(-1, 1, (3, 4, 4))
    near, alike = [], []
    for i, n in enumerate(SIZES):
        p = expit(z[i, :n].numpy())
        near.append(np.mean([bce(p[j], (1 + cosine[i, j]) / 2) for j in range(n)]))
        total = 0.0
        for j in range(n):
            for k in range(n):
                s = (1 + rho[i, j, k]) / 2
                total += abs((1 - p[j]) * (1 - p[k]) - s) * abs(p[j] * p[k] - s)
        alike.append(total / n**2)
    assert float(cosine_prior(z, mask, torch.from_numpy(cosine))) == pytest.approx(np.mean(near))
    assert float(correlation_prior(z, mask, torch.from_numpy(rho))) == pytest.approx(np.mean(alike))


def test_the_cosine_pulls_near_sentences_up() -> None:
    z = torch.zeros(1, 2, requires_grad=True)
    cosine_prior(z, torch.ones(1, 2, dtype=torch.bool), torch.tensor([[0.9, -0.9]])).backward()
    assert z.grad is not None and float(z.grad[0, 0]) < 0 < float(z.grad[0, 1])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.05, 0.95), min_size=4, max_size=4), st.integers(0, 1))
def test_preference(p: list[float], target: int) -> None:
    s = torch.tensor(p, dtype=torch.float64)
    first, second = (ResponseBelief(part.log(), (1 - part).log()) for part in (s[:2], s[2:]))
    q = [p[2] / (p[0] + p[2]), p[3] / (p[1] + p[3])]
    wanted = np.mean([bce(x, target) for x in q])
    t = torch.full((2,), float(target), dtype=torch.float64)
    assert float(preference_loss(first, second, t)) == pytest.approx(wanted)
    assert float(preference_loss(second, first, 1 - t)) == pytest.approx(wanted)


def test_unknown_sentences_are_left_out() -> None:
    z, mask, _ = bags(0)
    labels = torch.full((3, 4), float("nan"), dtype=torch.float64)
    assert float(sentence_loss(z, mask, labels)) == 0
    labels[0, 1] = 1.0
    assert float(sentence_loss(z, mask, labels)) == pytest.approx(bce(expit(float(z[0, 1])), 1))
    labels[2, 3] = 0.0  # in the padding
    assert float(sentence_loss(z, mask, labels)) == pytest.approx(bce(expit(float(z[0, 1])), 1))
