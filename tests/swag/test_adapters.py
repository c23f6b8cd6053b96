"""A posterior as folders of PEFT: what is written, read again, and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command import run
from safetensors.torch import load_file

from lm_eval_calibration.errors import InvalidInputError, OutputError
from lm_eval_calibration.swag import load as load_members
from lm_eval_calibration.swag.adapters import DOCUMENTS, INDEX, load, save
from lm_eval_calibration.swag.mixture import POSTERIORS, Mixture


@pytest.mark.parametrize("method", sorted(set(POSTERIORS) - {"mc_dropout"}))
@pytest.mark.parametrize("samples", [0, 2])
def test_each_weight_set_is_a_folder(
    swag_folder: Path, tmp_path: Path, method: str, samples: int
) -> None:
    mixture = Mixture(load_members(swag_folder), method, samples, scale=1.0)
    made = save(mixture, tmp_path / "out")
    assert (made.members, made.samples) == mixture.shape and made.method == method
    assert made.names[0] == "mean" and len(set(made.names)) == 1 + made.members * made.samples
    for name, drawn in zip(made.draws, mixture.weight_sets(), strict=True):
        told = load_file(made.path(name) / "adapter_model.safetensors")
        assert told.keys() == drawn.weights.keys()
        assert all(torch.equal(told[n], drawn.weights[n]) for n in told)
    first = mixture.members[0].training
    assert made.training.fingerprint == first.fingerprint
    np.testing.assert_array_equal(made.training.documents, np.unique(first.documents))


def test_dropout_is_no_adapter(swag_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="which draws noise"):
        save(Mixture(load_members(swag_folder), "mc_dropout", 2), tmp_path / "out")


def test_a_folder_of_somebody_else(swag_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="was not made by"):
        save(Mixture(load_members(swag_folder)), tmp_path)
    with pytest.raises(InvalidInputError, match=r"without draws\.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    "told", [{"draws": ["../x"]}, {"draws": [1]}, {"members": 0}, {"samples": "many"}, {"tasks": 3}]
)
def test_an_index_that_lies(swag_folder: Path, tmp_path: Path, told: dict[str, object]) -> None:
    save(Mixture(load_members(swag_folder), "swa"), tmp_path / "out")
    path = tmp_path / "out" / INDEX
    path.write_text(json.dumps({**json.loads(path.read_text()), **told}))
    with pytest.raises(InvalidInputError, match="Export them again"):
        load(tmp_path / "out")


@pytest.mark.parametrize("name", [DOCUMENTS, INDEX, "mean/adapter_config.json"])
def test_what_is_missing_is_named(swag_folder: Path, tmp_path: Path, name: str) -> None:
    save(Mixture(load_members(swag_folder), "swa"), tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(InvalidInputError, match=name.split("/")[-1]):
        load(tmp_path / "out")


def test_the_command_says_how_they_are_used(swag_folder: Path, tmp_path: Path) -> None:
    said = run("swag", "export", swag_folder, "--draws", 2, "--output", tmp_path / "out").output
    assert "4 draws (multiswag) and the mean" in said
    assert "--enable-lora --max-lora-rank 8" in said and "--model adapters" in said
