"""SWAG's moments and draws, against numpy, theory and the original recursion."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.swag import Draw, Moments, Posterior

SHAPES = {"layer.lora_A": (2, 3), "layer.lora_B": (4,)}
few = settings(derandomize=True, deadline=None, max_examples=30)


def snapshots(count: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    drift = torch.linspace(0, 1, count, dtype=torch.float64)[:, None]
    found = 5 + drift + torch.randn(count, 10, generator=generator, dtype=torch.float64)
    return list(found.to(dtype))


def collected(found: list[torch.Tensor], rank: int = 5) -> Moments:
    moments = Moments(SHAPES, rank)
    for flat in found:
        moments.collect(moments.unflatten(flat))
    return moments


@given(st.integers(1, 25), st.integers(2, 8), st.integers(0, 99))
@few
def test_moments_are_numpys(count: int, rank: int, seed: int) -> None:
    found = snapshots(count, seed)
    x = torch.stack(found).numpy()
    moments = collected(found, rank)
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments.variance, x.var(axis=0), rtol=1e-3, atol=1e-6)
    running = np.array([x[i] - x[: i + 1].mean(axis=0) for i in range(count)])[-rank:]
    np.testing.assert_allclose(moments.deviations, running, atol=1e-5)
    np.testing.assert_allclose(moments.recentred(), (x - x.mean(axis=0))[-rank:], atol=1e-5)


def test_bfloat16_weights_have_float32_moments() -> None:
    """Of the very values that bfloat16 holds; moments in bfloat16 would be several times off."""
    found = snapshots(30, dtype=torch.bfloat16)
    x = torch.stack(found).double().numpy()
    moments = collected(found)
    assert moments.mean.dtype == torch.float32
    np.testing.assert_allclose(moments.variance, x.var(axis=0), rtol=1e-4)


def test_tiny_movements_of_large_weights() -> None:
    """Where the mean of squares less the square of the mean is noise."""
    x = 100 + 1e-3 * torch.randn(50, 10, generator=torch.Generator().manual_seed(0))
    moments = collected(list(x))
    np.testing.assert_allclose(moments.variance, x.double().numpy().var(axis=0), rtol=0.02)


def _reference_swa_gaussian(x: np.ndarray, rank: int, scale: float, z1: np.ndarray, z2: np.ndarray):
    """The recursion and the draw of the original authors' package, written out."""
    mean, square, rows = np.zeros(x.shape[1]), np.zeros(x.shape[1]), []
    for n, theta in enumerate(x):
        mean = (mean * n + theta) / (n + 1)
        square = (square * n + theta**2) / (n + 1)
        rows = [*rows, theta - mean][-rank:]
    variance = np.maximum(square - mean**2, 1e-30)
    low_rank = np.array(rows).T @ z2 / np.sqrt(rank - 1)
    return mean + np.sqrt(scale) * (np.sqrt(variance) * z1 + low_rank)


def test_a_draw_is_the_original_packages() -> None:
    found = snapshots(12)
    posterior = Posterior(collected(found, 5), Draw(scale=0.5))
    from lm_eval_calibration.swag.posterior import seed_of

    generator = torch.Generator().manual_seed(seed_of(3, 1, 7))
    z1, z2 = (torch.randn(size, generator=generator).double().numpy() for size in (10, 5))
    expected = _reference_swa_gaussian(torch.stack(found).numpy(), 5, 0.5, z1, z2)
    drawn = posterior.moments.flatten(posterior.sample(7, member=1, seed=3))
    np.testing.assert_allclose(drawn, expected, atol=1e-5)


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.5, 1.0, 2.0, 5.0])
def test_draws_have_the_covariance_they_should(scale: float) -> None:
    """The original authors' test: the quadratic form lies below chi-square's quantile 95 in 100."""
    moments = collected(snapshots(40), 6)
    posterior = Posterior(moments, Draw(scale=scale))
    d = moments.deviations.double().numpy()
    covariance = scale * (d.T @ d / (len(d) - 1) + np.diag(moments.variance.double().numpy()))
    away = np.array(
        [
            (moments.flatten(posterior.sample(i)) - moments.mean).double().numpy()
            for i in range(2000)
        ]
    )
    form = np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariance), away)
    assert abs((form < chi2(10).ppf(0.95)).mean() - 0.95) < 0.015
    diagonal = Posterior(moments, Draw(scale=scale, low_rank=False))
    away = np.array(
        [(moments.flatten(diagonal.sample(i)) - moments.mean).numpy() for i in range(2000)]
    )
    np.testing.assert_allclose(
        away.std(axis=0), (scale * moments.variance).sqrt().numpy(), rtol=0.07
    )


def test_a_linear_models_posterior_is_recovered() -> None:
    """Snapshots of a known Gaussian, as stationary SGD leaves them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 10))
    exact = np.linalg.inv(x.T @ x)  # noise of variance 1, flat prior
    true = rng.normal(size=10)
    steps = rng.multivariate_normal(true, exact, size=5000)
    moments = collected(list(torch.from_numpy(steps)), 1000)
    np.testing.assert_allclose(moments.mean, true, atol=5 * np.sqrt(exact.diagonal().max() / 5000))
    posterior = Posterior(moments, Draw(scale=1.0, diagonal=False, centring="final"))
    drawn = np.array([moments.flatten(posterior.sample(i)).numpy() for i in range(4000)])
    np.testing.assert_allclose(np.cov(drawn.T), exact, atol=0.15 * exact.diagonal().max())


def test_samples_are_reproducible_and_differ() -> None:
    posterior = Posterior(collected(snapshots(12)))
    a, b = posterior.sample(4, member=2), posterior.sample(4, member=2)
    assert all(torch.equal(a[name], b[name]) for name in SHAPES)
    for other in (posterior.sample(5, 2), posterior.sample(4, 3), posterior.sample(4, 2, seed=1)):
        assert not torch.equal(a["layer.lora_A"], other["layer.lora_A"])


def test_scale_0_is_the_mean_and_a_pattern_keeps_the_others_there() -> None:
    moments = collected(snapshots(12))
    mean = moments.unflatten(moments.mean)
    still = Posterior(moments, Draw(scale=0)).sample(0)
    assert all(torch.equal(still[name], mean[name]) for name in SHAPES)
    only = Posterior(moments, Draw(tensors="*lora_B")).sample(0)
    assert torch.equal(only["layer.lora_A"], mean["layer.lora_A"])
    assert not torch.equal(only["layer.lora_B"], mean["layer.lora_B"])


def test_a_checkpoint_goes_on_where_it_was() -> None:
    found = snapshots(12)
    whole, half = collected(found), collected(found[:7])
    again = Moments(SHAPES, 5)
    again.load(half.state())
    for flat in found[7:]:
        again.collect(again.unflatten(flat))
    for name, value in whole.state().items():
        assert torch.equal(value, again.state()[name]), name


def test_fewer_snapshots_than_the_rank_use_the_rows_there_are() -> None:
    moments = collected(snapshots(3), rank=20)
    assert len(moments.deviations) == 3
    posterior = Posterior(moments, Draw(scale=1, diagonal=False, centring="final"))
    drawn = torch.stack([moments.flatten(posterior.sample(i)) for i in range(3000)])
    d = moments.recentred()
    np.testing.assert_allclose(drawn.std(dim=0), ((d**2).sum(dim=0) / 2).sqrt(), rtol=0.08)


def test_what_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="`rank` must be at least 2"):
        Moments(SHAPES, 1)
    with pytest.raises(InvalidInputError, match="at least one trainable tensor"):
        Moments({}, 5)
    moments = collected(snapshots(1))
    with pytest.raises(InvalidInputError, match="at least two snapshots, got 1"):
        Posterior(moments)
    bad = moments.unflatten(torch.full((10,), float("nan")))
    with pytest.raises(InvalidInputError, match="training has diverged"):
        moments.collect(bad)
    with pytest.raises(InvalidInputError, match="lora_B is new or gone"):
        moments.collect({"layer.lora_A": torch.zeros(2, 3)})
    with pytest.raises(InvalidInputError, match=r"must be of shape \(4,\), got \(5,\)"):
        moments.collect({"layer.lora_A": torch.zeros(2, 3), "layer.lora_B": torch.zeros(5)})
    two = collected(snapshots(2))
    with pytest.raises(InvalidInputError, match="`tensors` must be one of layer"):
        Posterior(two, Draw(tensors="*head*"))
    with pytest.raises(InvalidInputError, match="moments of 10 weights, rank 9"):
        Moments(SHAPES, 9).load(collected(snapshots(12)).state())
    for options, match in (
        ({"scale": -1.0}, "`scale` must be 0 or more"),
        ({"scale": float("nan")}, "`scale` must be 0 or more"),
        ({"centring": "median"}, "running or final"),
        ({"low_rank": False, "diagonal": False}, "neither"),
    ):
        with pytest.raises(InvalidInputError, match=match):
            Draw(**options)  # type: ignore[arg-type]
