"""The original authors' package `swa-gaussian`, on the same snapshots and with the same noise."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
import types
from typing import Any

import pytest
import torch

from lm_eval_calibration.swag import Draw, Moments, Posterior
from lm_eval_calibration.swag.posterior import seed_of


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its SWAG class, from the installed file; its other dependencies are not needed for it."""
    try:
        files = importlib.metadata.files("swa-gaussian") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("swa-gaussian is not installed (make test installs it, without dependencies)")
    for name in ("gpytorch", "gpytorch.lazy", "gpytorch.distributions"):
        monkeypatch.setitem(sys.modules, name, _Anything(name))
    package = types.ModuleType("_original")
    package.__path__ = []
    monkeypatch.setitem(sys.modules, "_original", package)
    monkeypatch.setitem(sys.modules, "_original.posteriors", types.ModuleType("posteriors"))
    for path, name in (
        ("swag/utils.py", "_original.utils"),
        ("swag/posteriors/swag.py", "_original.posteriors.swag"),
    ):
        located = next(f for f in files if str(f) == path).locate()
        spec = importlib.util.spec_from_file_location(name, located)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return module.SWAG


class _Anything(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        return object


def network() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))


@pytest.mark.parametrize("scale", [0.0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("low_rank", [True, False])
def test_the_same_draws(original: Any, scale: float, low_rank: bool) -> None:
    rank, seed = 4, seed_of(3, 1, 7)
    theirs = original(network, no_cov_mat=False, max_num_models=rank)
    ours: Moments | None = None
    torch.manual_seed(0)
    model = network()
    for _ in range(9):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.1 * torch.randn(parameter.shape)
        weights = dict(model.named_parameters())
        ours = ours or Moments({n: tuple(p.shape) for n, p in weights.items()}, rank)
        ours.collect(weights)
        theirs.collect_model(model)
    assert ours is not None
    theirs.sample(scale=scale, cov=low_rank, seed=seed)
    drawn = Posterior(ours, Draw(scale, low_rank=low_rank)).sample(7, member=1, seed=3)
    for name, tensor in drawn.items():
        module, _, leaf = name.rpartition(".")
        expected = getattr(theirs.base.get_submodule(module), leaf)
        torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=1e-6)
