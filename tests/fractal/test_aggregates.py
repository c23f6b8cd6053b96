"""Aggregates against their definitions, and the laws of the family."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from torch import Tensor

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.fractal.aggregates import AGGREGATES, FORMS, TAU, R, aggregate

ALL = [("avg", "hard"), *((kind, form) for kind in ("min", "max") for form in FORMS)]
BAGS = st.lists(
    st.lists(st.floats(-8, 8, allow_nan=False), min_size=1, max_size=9), min_size=1, max_size=5
)


def padded(bags: list[list[float]], more: int = 0, fill: float = 3.0) -> tuple[Tensor, Tensor]:
    width = max(map(len, bags)) + more
    rows = [bag + [fill] * (width - len(bag)) for bag in bags]
    mask = [[True] * len(bag) + [False] * (width - len(bag)) for bag in bags]
    return torch.tensor(rows, dtype=torch.float64), torch.tensor(mask)


def by_definition(z: list[float], kind: str, form: str) -> float:
    p = expit(z)
    if kind == "avg":
        return float(p.mean())
    if kind == "max":
        return 1 - by_definition([-x for x in z], "min", form)
    return float(
        {
            "hard": p.min(),
            "soft": (p * softmax(-p / TAU)).sum(),
            "product": p.prod(),
            "power": (p**R).mean() ** (1 / R),
        }[form]
    )


@pytest.mark.parametrize(("kind", "form"), ALL)
@settings(max_examples=60, deadline=None)
@given(bags=BAGS)
def test_definition(kind: str, form: str, bags: list[list[float]]) -> None:
    found = aggregate(*padded(bags), kind, form)
    wanted = torch.tensor([by_definition(bag, kind, form) for bag in bags])
    assert torch.allclose(found.log_right.exp().float(), wanted, atol=1e-6)
    assert torch.allclose(found.log_right.exp() + found.log_wrong.exp(), torch.ones(()).double())


@pytest.mark.parametrize(("kind", "form"), ALL)
@settings(max_examples=40, deadline=None)
@given(bags=BAGS, more=st.integers(1, 5), fill=st.sampled_from([-50.0, 0.0, 50.0]))
def test_padding_changes_nothing(
    kind: str, form: str, bags: list[list[float]], more: int, fill: float
) -> None:
    plain = aggregate(*padded(bags), kind, form)
    more_padded = aggregate(*padded(bags, more, fill), kind, form)
    for one, other in zip(plain, more_padded, strict=True):
        assert torch.allclose(one, other)


@pytest.mark.parametrize(("kind", "form"), ALL)
@pytest.mark.parametrize("count", [1, 2, 200])
@pytest.mark.parametrize("size", [0.0, 5.0, 60.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite(
    kind: str, form: str, count: int, size: float, dtype: torch.dtype
) -> None:
    generator = torch.Generator().manual_seed(0)
    for sign in (-1, 1):
        z = (sign * size + torch.randn(2, count, generator=generator)).to(dtype).requires_grad_()
        found = aggregate(z, torch.ones(2, count, dtype=torch.bool), kind, form)
        assert all(bool(part.isfinite().all()) for part in found)
        (gradient,) = torch.autograd.grad(found.log_right.sum() + found.log_wrong.sum(), z)
        assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("form", FORMS)
def test_a_lone_sentence_is_its_response(form: str) -> None:
    z = torch.tensor([[1.5]], dtype=torch.float64)
    for kind in AGGREGATES:
        found = aggregate(z, torch.ones(1, 1, dtype=torch.bool), kind, form)
        assert float(found.log_right) == pytest.approx(math.log(expit(1.5)))


def test_what_cannot_be() -> None:
    z, mask = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    with pytest.raises(InvalidInputError, match="aggregate"):
        aggregate(z, mask, "median")
    with pytest.raises(InvalidInputError, match="form"):
        aggregate(z, mask, "min", "noisy")
    with pytest.raises(InvalidInputError, match="at least one sentence"):
        aggregate(z, ~mask)
