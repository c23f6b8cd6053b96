"""THERMOMETER: the published objective, recovery of known temperatures, files."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import gamma
from torch import nn

from lm_eval_calibration.calibrators import load
from lm_eval_calibration.calibrators.thermometer import (
    PRESETS,
    Thermometer,
    ThermometerSettings,
    train,
)
from lm_eval_calibration.calibrators.thermometer.network import Recognition
from lm_eval_calibration.calibrators.thermometer.training import average, penalty
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.features import Features
from lm_eval_calibration.fitting.leave_one_out import fitted_temperature, mean_nll, scaled

SIZE = 12
QUICK = replace(PRESETS["default"], steps=600, learning_rate=1e-3, width=16)


def task(name: str, temperature: float, count: int = 200, seed: int = 0) -> Features:
    """A task whose best temperature is written into its hidden states, with noise."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 1.5, (count, 4))
    p = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    gold = np.array([rng.choice(4, p=row) for row in p])
    hidden = rng.normal(0, 1, (count, SIZE))
    hidden[:, 0] = math.log(temperature) + rng.normal(0, 0.3, count)
    return Features(
        name,
        (hidden * 7 + 100).astype(np.float32),  # like real ones: large, and not centred
        true * temperature,
        np.full(count, 4, dtype=np.intp),
        np.eye(4, dtype=bool)[gold],
        (np.arange(count) + 1000 * seed).astype(np.uint64),
    )


def tasks(count: int, seed: int) -> list[Features]:
    temperatures = np.exp(np.linspace(math.log(0.7), math.log(4), count))
    return [task(f"t{i}", t, seed=seed + i) for i, t in enumerate(temperatures)]


@pytest.fixture(scope="module")
def trained() -> Thermometer:
    return train(tasks(24, 0), tasks(24, 100), QUICK, base_model="toy", fingerprint="f")


def test_temperatures_of_tasks_that_nobody_labelled(trained: Thermometer) -> None:
    """Held-out temperatures within 10 % of the truth, NLL within 1 % of the oracle's."""
    for i, true in enumerate([0.9, 1.3, 2.0, 3.0]):
        new = task("new", true, count=2000, seed=500 + i)
        found = trained.temperature(trained.inverse_temperatures(new.hidden))
        assert found == pytest.approx(true, rel=0.1)
        oracle = fitted_temperature(new.predictions)
        ours, best = (mean_nll(scaled(new.predictions, t)) for t in (found, oracle))
        assert ours <= best * 1.01


def test_same_seed_same_network(trained: Thermometer) -> None:
    again = train(tasks(24, 0), tasks(24, 100), QUICK)
    other = train(tasks(24, 0), tasks(24, 100), QUICK, seed=1)
    a, b, c = (t.tensors()["hidden.weight"] for t in (trained, again, other))
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_saved_and_read_back(trained: Thermometer, tmp_path: Path) -> None:
    trained.save_pretrained(tmp_path)
    again = load(str(tmp_path))
    assert isinstance(again, Thermometer)
    hidden = task("x", 2.0).hidden
    assert np.array_equal(again.inverse_temperatures(hidden), trained.inverse_temperatures(hidden))
    assert again.settings == QUICK and again.training.base_model == "toy"
    assert again.training.tasks["t0"] == 400  # to learn from and to judge by
    assert again.training.seen(task("t0", 0.7).documents).all()
    log = json.loads((tmp_path / "training.json").read_text())["steps"]
    assert log[0]["step"] == 0 and log[0]["loss"] is None
    losses = [row["validation_nll"] for row in log]
    assert min(losses) == pytest.approx(trained.about["validation_nll"]) and losses[0] > min(losses)
    assert not any(f.suffix in (".bin", ".pkl", ".pt") for f in tmp_path.iterdir())


def test_the_prior_is_the_gamma_distribution_of_the_paper() -> None:
    at = torch.tensor([0.3, 1.0, 2.0, 7.0], dtype=torch.float64)
    density = -gamma(1.25, scale=4.0).logpdf(at.numpy())
    ours = penalty(at, ThermometerSettings()).numpy()
    np.testing.assert_allclose(ours - ours[1], density - density[1], atol=1e-12)
    assert ours.argmin() == 1  # its mode is 1
    assert ours[2] - ours[1] == pytest.approx(0.25 * (1 - math.log(2)))


def test_a_tasks_temperature_is_the_harmonic_mean() -> None:
    inverse = torch.tensor([1.0, 0.5, 0.25])  # temperatures 1, 2, 4
    assert 1 / average(inverse, "harmonic").item() == pytest.approx(3 / (1 + 0.5 + 0.25))
    assert 1 / average(inverse, "arithmetic").item() == pytest.approx((1 + 2 + 4) / 3)


class _Reference(nn.Module):
    """The network as the paper's code builds it: three separate branches."""

    def __init__(self, ours: Recognition) -> None:
        super().__init__()
        width = ours.weight.shape[1]
        self.branches = nn.ModuleList()
        for k in range(3):
            first, second = nn.Linear(SIZE, width), nn.Linear(width, 1)
            rows = slice(k * width, (k + 1) * width)
            first.weight.data, first.bias.data = ours.hidden.weight[rows], ours.hidden.bias[rows]
            second.weight.data, second.bias.data = ours.weight[k : k + 1], ours.bias[k : k + 1]
            self.branches.append(nn.Sequential(first, nn.ReLU(), second))
        self.out = ours.out

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([branch(states) for branch in self.branches], dim=1)
        return nn.functional.softplus(self.out(joined))[:, 0]


@torch.no_grad()
def test_the_network_is_three_branches() -> None:
    torch.manual_seed(0)
    ours = Recognition(SIZE, 5, 3)
    states = torch.randn(7, SIZE)
    torch.testing.assert_close(ours(states), _Reference(ours)(states))


def test_parameter_counts_of_the_paper() -> None:
    """1,574,407 for FLAN-T5-XL (2048, 256), 6,294,535 for LLaMA-2-7B (4096, 512)."""
    for size, width, count in ((2048, 256, 1_574_407), (4096, 512, 6_294_535)):
        network = Recognition(size, width, 3)
        assert sum(p.numel() for p in network.parameters()) == count
        assert size // 8 == width


def test_starts_at_one() -> None:
    network = Recognition(SIZE, 5, 3, start_at_one=True)
    with torch.no_grad():
        torch.testing.assert_close(network(torch.randn(4, SIZE)), torch.ones(4))


def test_presets_are_the_papers() -> None:
    paper = PRESETS["paper"]
    assert (paper.steps, paper.batch, paper.learning_rate) == (5000, 128, 1e-3)
    assert (paper.prior_shape, paper.prior_rate, paper.prior_weight) == (1.25, 0.25, 1e-2)
    assert paper.weight_decay == 1e-4 and paper.evaluate_every == 50 and paper.patience is None
    assert not paper.standardise and not paper.start_at_one and paper.mean == "harmonic"
    found = train(tasks(3, 0), tasks(3, 9), replace(paper, steps=60))
    assert np.isfinite(found.inverse_temperatures(task("x", 2.0).hidden)).all()


def broken(part: Features, **changes: object) -> Features:
    return replace(part, **changes)  # type: ignore[arg-type]


def test_bad_features() -> None:
    good = task("good", 1.0, 20)
    bad = good.hidden.copy()
    bad[3, 2] = np.nan
    with pytest.raises(InvalidInputError, match="in task `good`, document 0000000000000003"):
        train([broken(good, hidden=bad)], [good])
    with pytest.raises(InvalidInputError, match="`tasks` must be labelled documents of at least"):
        train([], [good])
    with pytest.raises(InvalidInputError, match="none in `good`"):
        train([good], [broken(good, gold=np.zeros_like(good.gold))])
    with pytest.raises(InvalidInputError, match="one size"):
        train([good], [broken(good, hidden=good.hidden[:, :3])])


def test_one_document_and_ragged_options() -> None:
    one = task("one", 2.0).take(np.array([5]))
    ragged = task("ragged", 2.0, 30)
    logits = ragged.logits.copy()
    logits[::2, 3] = -np.inf
    fewer = np.where(np.arange(30) % 2 == 0, 3, 4)
    gold = ragged.gold & np.isfinite(logits)
    mixed = broken(ragged, logits=logits, num_options=fewer, gold=gold)
    found = train([one, mixed], [mixed], replace(QUICK, steps=50))
    assert found.temperature(found.inverse_temperatures(one.hidden)) > 0
    with pytest.raises(InvalidInputError, match="at least one document"):
        found.temperature(np.empty(0))
    with pytest.raises(InvalidInputError, match=r"of shape \(N, 12\)"):
        found.inverse_temperatures(one.hidden[:, :5])


def test_files_that_do_not_fit_together(trained: Thermometer, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    trained.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    config = json.loads((tmp_path / "config.json").read_text())
    del config["tensors_sha256"]  # as if they had been saved so
    (tmp_path / "config.json").write_text(json.dumps(config))
    for change in ({"weight": tensors["weight"][:, :3].copy()}, {"out.bias": np.zeros(4, "f4")}):
        save_file({**tensors, **change}, tmp_path / "model.safetensors")
        with pytest.raises(InvalidInputError, match=r"must be|do not fit"):
            Thermometer.from_pretrained(tmp_path)


def test_a_recalibrator_is_no_thermometer(tmp_path: Path) -> None:
    from lm_eval_calibration.calibrators import fit

    fit("temperature", task("x", 2.0).predictions).save_pretrained(tmp_path)
    with pytest.raises(
        InvalidInputError,
        match=r"is the folder of a calibrator \(temperature\), which --model calibrated takes",
    ):
        Thermometer.from_pretrained(tmp_path)
