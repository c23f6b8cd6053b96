"""Thermometers, posteriors, scorers and stores whose files say what none of ours would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rewriting import put, rewrite
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from toy_encoder import Toy

from lm_eval_calibration import swag
from lm_eval_calibration.calibrators import Training, fit
from lm_eval_calibration.calibrators.thermometer import Thermometer
from lm_eval_calibration.calibrators.thermometer import ThermometerSettings as ThermometerSettings
from lm_eval_calibration.calibrators.thermometer.network import Recognition
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.features import Features, FeatureStore, Key
from lm_eval_calibration.fractal import FractalSettings, SentenceScorer, encoders
from lm_eval_calibration.fractal.network import SentenceNetwork
from lm_eval_calibration.fractal.reading import SentenceReading
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.swag.artifact import Member
from lm_eval_calibration.swag.moments import Moments

TRAINING = Training({"toy": 4}, np.arange(4, dtype=np.uint64), "m")


def refused(read: Callable[[Path], Any], folder: Path, match: str) -> None:
    """One line that names the folder, and says what is wrong with it."""
    with pytest.raises(InvalidInputError, match=match) as caught:
        read(folder)
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def thermometer(folder: Path) -> Path:
    few, ones = ThermometerSettings(branches=2, width=3), np.ones(4, np.float32)
    Thermometer(Recognition(4, 3, 2), few, 0 * ones, ones, TRAINING).save_pretrained(folder)
    assert Thermometer.from_pretrained(folder).settings == few
    return folder


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("spread", np.zeros(4, np.float32), "`spread` must be from 1e-06"),
        ("spread", -np.ones(4, np.float32), "`spread` must be from 1e-06"),
        ("spread", np.ones(3, np.float32), r"`spread` must be of shape \(4,\)"),
        ("centre", np.full(4, np.nan, np.float32), "`centre` must be finite"),
        ("centre", np.zeros((2, 2), np.float32), r"`centre` must be of shape \(any,\)"),
        ("centre", np.array(0, np.float32), "`centre` must be of shape"),
        ("hidden.weight", np.full((6, 4), np.inf, np.float32), "`hidden.weight` must be finite"),
        ("hidden.weight", np.zeros((6, 4), np.int64), "must be of floating-point numbers"),
        ("hidden.weight", np.zeros((6, 5), np.float32), r"must be of shape \(6, 4\)"),
        ("weight", np.zeros((0, 3), np.float32), "`weight` must be of shape"),
        ("weight", np.zeros((3, 2), np.float32), "hidden_size and branches"),
        ("bias", np.zeros(3, np.float32), "weights do not fit"),
        ("more", np.zeros(3, np.float32), "weights do not fit"),
        ("spread", None, "with `spread`"),
    ],
)
def test_tensors_of_a_thermometer(name: str, value: Any, match: str, tmp_path: Path) -> None:
    put(thermometer(tmp_path), name, value)
    refused(Thermometer.from_pretrained, tmp_path, match)


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": "geometric"}, {"mean": 1}, {"branches": 0}, {"branches": 2**60}, {"width": -1},
        {"width": "3"}, {"branches": True}, {"branches": 2.5}, {"unknown": 1}, {"patience": 1e400},
    ],
)  # fmt: skip
def test_settings_of_a_thermometer(changes: dict[str, Any], tmp_path: Path) -> None:
    config = thermometer(tmp_path) / "config.json"
    rewrite(config, settings={"branches": 2, **changes})
    refused(Thermometer.from_pretrained, tmp_path, "can be read")
    for other in ([], None, "x", 3):
        rewrite(config, settings=other)
        refused(Thermometer.from_pretrained, tmp_path, "an object of arguments")


def test_a_thermometer_that_is_something_else(tmp_path: Path) -> None:
    rewrite(thermometer(tmp_path) / "config.json", method="temperature")
    refused(Thermometer.from_pretrained, tmp_path, "is the folder of a calibrator")


def scorer(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    pairs = Predictions.from_confidences(rng.random(40), rng.random(40) < 0.5)
    SentenceScorer(
        SentenceNetwork(8, 4, 8, False), FractalSettings(hidden=8), SentenceReading("e"), TRAINING,
        fit("isotonic", pairs),
    ).save_pretrained(folder)  # fmt: skip
    assert SentenceScorer.from_pretrained(folder).reading == SentenceReading("e")
    return folder


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": 2**60}, {"inputs": 3}, {"inputs": -1}, {"embedding": 9}, {"embedding": 4.0},
        {"inputs": "8"}, {"calibrator": None}, {"calibrator": {}}, {"calibrator": []},
        {"calibrator": {"method": "histogram"}}, {"reading": {"encoder": "e", "split": "words"}},
        {"reading": {"encoder": ["e"]}}, {"reading": {}}, {"reading": {"encoder": "e", "x": 1}},
        {"settings": {}}, {"settings": {"weights": [1, 2, 3]}}, {"settings": {"weights": "abc"}},
        {"settings": {"weights": None, "hidden": 2**60}}, {"about": 3}, {"method": "platt"},
        {"settings": {"weights": None, "aggregate": "mean"}},
    ],
)  # fmt: skip
def test_configurations_of_a_scorer(changes: dict[str, Any], tmp_path: Path) -> None:
    rewrite(scorer(tmp_path) / "config.json", **changes)
    refused(SentenceScorer.from_pretrained, tmp_path, "can be read")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spread", np.zeros(8)), ("spread", np.full(8, np.nan)), ("spread", None),
        ("centre", np.full(8, np.inf)), ("layers.0.weight", np.full((8, 8), np.nan)),
        ("layers.0.weight", np.zeros((8, 8), np.int8)), ("layers.0.weight", np.zeros((8, 9))),
        ("sentences/:y", np.array([0.1, 7.0])), ("sentences/:x", None), ("sentences/a:z", np.ones(1)),
    ],
)  # fmt: skip
def test_tensors_of_a_scorer(name: str, value: Any, tmp_path: Path) -> None:
    put(scorer(tmp_path), name, value)
    refused(SentenceScorer.from_pretrained, tmp_path, "can be read")


def posterior(folder: Path) -> Path:
    weights = {f"layer.lora_{k}.weight": torch.ones(2, 2) * (1 + (k == "B")) for k in "AB"}
    moments = Moments(dict.fromkeys(weights, (2, 2)), 3)
    for step in range(3):
        moments.collect({name: value + step for name, value in weights.items()})
    adapter = {"peft_type": "LORA", "r": 2, "target_modules": ["layer"], "lora_alpha": 16}
    Member(moments, weights, adapter, swag.SwagSettings(rank=3), TRAINING, 0.5).save(folder)
    assert len(swag.load(folder)) == 1
    return folder


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        *(("swag.json", {"scale": v}) for v in (-1, 1e400, True, "0.5", None, [0.5], 10**400)),
        *(("swag.json", {"snapshots": v}) for v in (-3, 0, 1, 4, "3", 3.5)),
        *(("swag.json", {"tasks": v}) for v in ({"t": -1}, {"t": 1e400}, [1], None)),
        *(("swag.json", {"settings": v}) for v in ({"rank": -1}, {"rank": "3"}, {"rank": 2}, [])),
        *(("swag.json", {"base_model": v}) for v in (None, {}, 3)),
        *(("adapter_config.json", {"r": v}) for v in (2**40, -2, "2", True, 3, 1e400)),
        *(("adapter_config.json", {"target_modules": v}) for v in ("(a+)+$", None, [1], {})),
        *(("adapter_config.json", {"lora_alpha": v}) for v in (-1, 1e400, "16", [])),
        *(("adapter_config.json", {"lora_dropout": v}) for v in (-0.1, 1.0, "x", True)),
        ("adapter_config.json", {"peft_type": "IA3"}),
        ("adapter_config.json", {"modules_to_save": ["lm_head"]}),
        ("adapter_config.json", {"layer_replication": [[0, 2**20]]}),
        ("adapter_config.json", {"auto_mapping": {"parent_library": "os"}}),
        ("adapter_config.json", {"no_such_setting": 1}),
    ],
)
def test_what_is_said_of_a_posterior(file: str, changes: dict[str, Any], tmp_path: Path) -> None:
    rewrite(posterior(tmp_path) / file, **changes)
    refused(swag.load, tmp_path, "no posterior that can be read")


@pytest.mark.parametrize("file", ["swag.json", "adapter_config.json", "members.json"])
@pytest.mark.parametrize("content", ["[" * 100_000, "[]", '{"members": ["../x"]}', "9" * 5000])
def test_json_of_a_posterior(file: str, content: str, tmp_path: Path) -> None:
    (posterior(tmp_path) / file).write_text(content)
    refused(swag.load, tmp_path, "no posterior that can be read")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("squares", lambda a: -a), ("squares", lambda a: a * np.nan), ("squares", lambda a: a[1:]),
        ("deviations", lambda a: np.full_like(a, np.inf)), ("deviations", lambda a: a[1:]),
        ("count", lambda a: -a), ("count", lambda a: a * 0 + 2**40), ("count", lambda _: None), ("count", lambda _: np.array(np.nan)),
        ("documents", lambda a: a.astype(np.int64)), ("documents", lambda a: a[None]),
        ("documents", lambda _: None),
    ],
)  # fmt: skip
def test_moments_that_no_snapshots_have(name: str, change: Any, tmp_path: Path) -> None:
    file = posterior(tmp_path) / "swag.safetensors"
    put(tmp_path, name, change(load_file(file)[name]), file.name)
    refused(swag.load, tmp_path, "no posterior that can be read")


@pytest.mark.parametrize("file", ["adapter_model.safetensors", "map/adapter_model.safetensors"])
def test_weights_that_are_no_numbers(file: str, tmp_path: Path) -> None:
    bad = np.full((2, 2), np.nan, np.float32)
    put(posterior(tmp_path), "layer.lora_A.weight", bad, file)
    refused(swag.load, tmp_path, "`layer.lora_A.weight` must be finite|`mean` must be finite")


KEY = Key("model", "main", "float32", "t", "test", "prompts")
WHOLE = Features(
    "t",
    np.ones((2, 3), dtype=np.float32),
    np.array([[-1.0, -np.inf, -np.inf], [-1.0, -2.0, -np.inf]]),
    np.array([2, 3]),
    np.array([[True, False, False], [False, False, True]]),
    np.array([5, 2**63 + 1], dtype=np.uint64),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hidden", np.full((2, 3), np.nan, np.float32)), ("hidden", np.ones((2, 3))),
        ("hidden", np.ones((3, 3), np.float32)), ("logits", WHOLE.logits * np.nan),
        ("logits", np.full((2, 3), np.inf)), ("logits", np.ones((2, 3), np.int64)),
        ("logits", np.zeros((2, 3))), ("num_options", np.array([2, 4])),
        ("num_options", np.array([0, 3])), ("num_options", np.array([-1, 3])),
        ("num_options", np.array([2.0, 3.0])), ("gold", np.ones((2, 3), bool)),
        ("gold", np.ones((2, 3))), ("documents", np.array([5, 6])), ("documents", None),
        ("documents", np.zeros((2, 1), np.uint64)),
    ],
)  # fmt: skip
def test_features_that_nobody_stored(name: str, value: Any, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(KEY, WHOLE)
    arrays = {
        k: getattr(WHOLE, k) for k in ("hidden", "logits", "num_options", "gold", "documents")
    }
    arrays = {k: v for k, v in {**arrays, name: value}.items() if v is not None}
    with safe_open(store.path(KEY), "np") as file:
        about = file.metadata()
    save_file(arrays, store.path(KEY), about)
    refused(lambda _: store.get(KEY), store.path(KEY), "Delete it to have it made anew")


@pytest.mark.parametrize(
    "about", ["[" * 100_000, "[]", "{}", '{"key": [], "task": "t"}', "9" * 5000, '{"key": null}']
)
def test_what_is_said_of_features(about: str, tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(KEY, WHOLE)
    arrays = load_file(store.path(KEY))
    save_file(arrays, store.path(KEY), {"lm_eval_calibration": about})
    refused(lambda _: store.get(KEY), store.path(KEY), "Delete it to have it made anew")


def test_features_under_another_name(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    store.put(other := replace(KEY, model="other"), WHOLE)
    store.path(other).rename(store.path(KEY))
    refused(lambda _: store.get(KEY), store.path(KEY), "the part of another key")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("vectors", lambda a: a * np.nan), ("vectors", lambda a: a.astype(np.float64)),
        ("vectors", lambda a: a[:, :0] if a.shape[1] == 0 else a[0]), ("vectors", lambda a: a[1:]),
        ("keys", lambda a: a.astype(np.int64)), ("keys", lambda a: a[:, 1:]), ("keys", lambda _: None),
    ],
)  # fmt: skip
def test_embeddings_that_nobody_stored(
    name: str, change: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoders, "_load", lambda name, device: Toy())
    first = encoders.Encoder("toy", tmp_path).encode(["one", "two"])
    assert np.array_equal(encoders.Encoder("toy", tmp_path).encode(["one", "two"]), first)
    (file,) = tmp_path.rglob("*.safetensors")
    put(file.parent, name, change(load_file(file)[name]), file.name)
    refused(lambda _: encoders.Encoder("toy", tmp_path), file, "holds no embeddings")
