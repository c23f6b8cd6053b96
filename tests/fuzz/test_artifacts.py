"""Folders that hold anything but what was saved are refused, before anything is made of them."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mutations import VALUES, broken, changed, fuzzing, ours
from safetensors.numpy import load_file, save_file

from lm_eval_calibration import swag
from lm_eval_calibration.calibrators import Training, fit, load
from lm_eval_calibration.calibrators.thermometer import Thermometer
from lm_eval_calibration.calibrators.thermometer import ThermometerSettings as ThermometerSettings
from lm_eval_calibration.calibrators.thermometer.network import Recognition
from lm_eval_calibration.errors import CalibrationError
from lm_eval_calibration.fractal import FractalSettings, SentenceScorer
from lm_eval_calibration.fractal.network import SentenceNetwork
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.swag.artifact import Member
from lm_eval_calibration.swag.moments import Moments

Load = Callable[[str], Any]
NAMES = ["temperature", "isotonic", "thermometer", "fractal"]


def made(name: str, folder: Path) -> Load:
    """Save an artifact; how it is read."""
    training = Training({"toy": 4}, np.arange(4, dtype=np.uint64), "m")
    if name == "fractal":
        network = SentenceNetwork(8, 4, 8, False)
        SentenceScorer(
            network, FractalSettings(hidden=8), SentenceReading("e"), training
        ).save_pretrained(folder)
        return SentenceScorer.from_pretrained
    if name == "thermometer":
        few, ones = ThermometerSettings(branches=2, width=3), np.ones(4, np.float32)
        network = Recognition(4, few.width, few.branches)
        Thermometer(network, few, 0 * ones, ones, training).save_pretrained(folder)
        return Thermometer.from_pretrained
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


def jsonable(value: Any) -> bool:
    """Whether all readers of JSON take it."""
    try:
        text = json.dumps(value, allow_nan=False)
        return "@raw" not in text and "\\ud" not in text and not re.search(r"\d{300}", text)
    except ValueError:
        return False


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


LATER = st.dictionaries(
    st.text(max_size=9).map("later_{}".format), VALUES.filter(jsonable), max_size=3
)
KNOWN = st.fixed_dictionaries({}, optional={
    "base_model": st.text(), "base_fingerprint": st.text(max_size=70),
    "tasks": st.dictionaries(st.text(), st.integers(0, 2**40), max_size=3),
    "prompts": st.just([]) | st.builds(lambda n: [{"tasks": ["a"], "shots": n, "later": "x"}], st.integers(0, 99)),
})  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_nothing_honest_is_refused(name: str, tmp_path: Path) -> None:
    """Whatever names it was given, in any order and layout, and whatever later versions add."""
    read = made(name, tmp_path)
    whole = json.loads((tmp_path / "config.json").read_text())
    tensors = read(str(tmp_path)).tensors()

    @given(LATER, KNOWN, st.randoms(), st.sampled_from([None, 2]), st.booleans())
    @fuzzing
    def run(
        later: dict[str, Any], known: dict[str, Any], rng: Any, indent: int | None, plain: bool
    ) -> None:
        fields = list({**whole, **later, **known}.items())
        rng.shuffle(fields)
        text = json.dumps(dict(fields), indent=indent, ensure_ascii=plain)
        (tmp_path / "config.json").write_text(text, encoding="utf-8")
        found = read(str(tmp_path))
        assert all(np.array_equal(tensors[key], value) for key, value in found.tensors().items())
        assert found.training.tasks == known.get("tasks", whole["tasks"])

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


@pytest.fixture
def posterior(tmp_path: Path) -> Path:
    """Of two weights matrices, untrained."""
    weights = {f"layer.lora_{k}.weight": torch.ones(2, 3) for k in "AB"}
    moments = Moments(dict.fromkeys(weights, (2, 3)), 3)
    for _ in range(3):
        moments.collect(weights)
    adapter = {"peft_type": "LORA", "r": 2, "target_modules": ["layer"]}
    training = Training({"toy": 4}, np.arange(4, dtype=np.uint64), "m")
    settings = swag.SwagSettings(rank=3)
    Member(moments, weights, adapter, settings, training, 0.5).save(tmp_path / "swag")
    return tmp_path / "swag"


@pytest.mark.parametrize("part", ["swag.json", "adapter_config.json"])
def test_what_is_said_of_a_posterior(part: str, posterior: Path) -> None:
    whole = json.loads((posterior / part).read_text())

    @given(changed(whole, times=3))
    @fuzzing
    def run(value: Any) -> None:
        (posterior / part).write_text(json.dumps(value))
        refused_or_read(swag.load, posterior)

    run()


@pytest.mark.parametrize("part", ["swag.safetensors", "adapter_model.safetensors"])
def test_a_posteriors_tensors(part: str, posterior: Path) -> None:
    @given(broken((posterior / part).read_bytes()))
    @fuzzing
    def run(content: bytes) -> None:
        (posterior / part).write_bytes(content)
        refused_or_read(swag.load, posterior)

    run()


def test_a_posterior_of_absurd_size(posterior: Path) -> None:
    about = json.loads((posterior / "swag.json").read_text())
    about["tensors"] = {name: [2**40, 2**20] for name in about["tensors"]}
    (posterior / "swag.json").write_text(json.dumps(about))
    with pytest.raises(CalibrationError, match="other tensors than"):
        swag.load(posterior)


@pytest.mark.parametrize(
    "members", [["../swag"], ["/etc"], ["member-0/../../swag"], [".."], [], "x", [0]]
)
def test_members_are_inside(members: Any, posterior: Path) -> None:
    (posterior / "members.json").write_text(json.dumps({"members": members}))
    with pytest.raises(CalibrationError, match="no posterior that can be read"):
        swag.load(posterior)
