"""Folders that hold anything but what was saved are refused, before anything is made of them."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import broken, changed, fuzzing, ours
from safetensors.numpy import load_file, save_file

from lm_eval_calibration.calibrators import Training, fit, load
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.fractal import SentenceScorer, Settings
from lm_eval_calibration.fractal.network import SentenceNetwork
from lm_eval_calibration.fractal.scorer import Reading
from lm_eval_calibration.predictions import Predictions

Load = Callable[[str], Any]
NAMES = ["temperature", "isotonic", "fractal"]


def made(name: str, folder: Path) -> Load:
    """Save an artifact; how it is read."""
    training = Training({"toy": 4}, np.arange(4, dtype=np.uint64), "m")
    if name == "fractal":
        network = SentenceNetwork(8, 4, 8, False)
        SentenceScorer(network, Settings(hidden=8), Reading("e"), training).save_pretrained(folder)
        return SentenceScorer.from_pretrained
    beliefs = Predictions.from_options([[0.0, 1.0], [1.0, 0.5], [0.2, 0.1]] * 4, [1, 1, 0] * 4)
    fit(name, beliefs, training).save_pretrained(folder)
    return load


def sign(folder: Path) -> None:
    """Have `config.json` name the tensors that are there."""
    config = json.loads((folder / "config.json").read_text())
    config["tensors_sha256"] = hashlib.sha256(
        (folder / "model.safetensors").read_bytes()
    ).hexdigest()
    (folder / "config.json").write_text(json.dumps(config))


def refused_or_read(read: Load, folder: Path) -> None:
    with ours():
        read(str(folder))


@pytest.mark.parametrize("name", NAMES)
def test_configurations(name: str, tmp_path: Path) -> None:
    read = made(name, tmp_path)
    whole = json.loads((tmp_path / "config.json").read_text())

    @given(changed(whole, times=3))
    @fuzzing
    def run(config: Any) -> None:
        (tmp_path / "config.json").write_text(json.dumps(config))
        refused_or_read(read, tmp_path)

    run()


@pytest.mark.parametrize("name", NAMES)
def test_tensors(name: str, tmp_path: Path) -> None:
    read = made(name, tmp_path)
    file = tmp_path / "model.safetensors"

    @given(broken(file.read_bytes()), st.booleans())
    @fuzzing
    def run(content: bytes, digest_too: bool) -> None:
        file.write_bytes(content)
        if digest_too:
            sign(tmp_path)
        refused_or_read(read, tmp_path)

    run()


@pytest.mark.parametrize("name", NAMES)
def test_shapes_and_values(name: str, tmp_path: Path) -> None:
    read = made(name, tmp_path)
    file = tmp_path / "model.safetensors"
    whole = load_file(file)
    arrays = st.sampled_from(
        [np.zeros(0), np.zeros((2, 3)), np.full(3, np.nan), np.array([np.inf]), np.zeros((1, 1, 1)),
         np.zeros(1, np.int8), np.array(["x"] * 2).view(np.uint32), np.float32([[1.0]])]
    )  # fmt: skip

    @given(st.sampled_from([*whole, "more"]), arrays, st.booleans())
    @fuzzing
    def run(key: str, value: Any, left_out: bool) -> None:
        tensors = {k: v for k, v in whole.items() if k != key}
        save_file(tensors if left_out else {**tensors, key: np.ascontiguousarray(value)}, file)
        sign(tmp_path)
        refused_or_read(read, tmp_path)

    run()


class Bomb:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("/tmp/lm-eval-calibration-was-executed"),)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", ["config.json", "model.safetensors"])
def test_a_pickle_in_disguise_is_not_executed(name: str, part: str, tmp_path: Path) -> None:
    read = made(name, tmp_path)
    (tmp_path / part).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CalibrationError, match="can be read"):
        read(str(tmp_path))
    assert not Path("/tmp/lm-eval-calibration-was-executed").exists()


@pytest.mark.parametrize("name", NAMES)
def test_absurd_sizes_are_refused_before_anything_is_allocated(name: str, tmp_path: Path) -> None:
    read = made(name, tmp_path)
    header = json.dumps({"x": {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}})
    content = len(header).to_bytes(8, "little") + header.encode()
    (tmp_path / "model.safetensors").write_bytes(content)
    sign(tmp_path)
    with pytest.raises(CalibrationError, match="can be read"):
        read(str(tmp_path))


def test_a_network_of_absurd_size(tmp_path: Path) -> None:
    made("fractal", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for change in ({"inputs": 2**40}, {"settings": {**config["settings"], "hidden": 2**40}}):
        (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(CalibrationError):
            SentenceScorer.from_pretrained(tmp_path)
