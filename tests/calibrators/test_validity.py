"""What a fit can find is loaded as it was; parameters that no fit can find are refused."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import EXAMPLES
from rewriting import put, rewrite
from safetensors.numpy import load_file, save_file

from lm_eval_calibration.calibrators import METHODS, Calibrator, Training, fit, load
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.predictions import Predictions

every_method = pytest.mark.parametrize("name", METHODS)
few = settings(derandomize=True, deadline=None, max_examples=4 * EXAMPLES, database=None)
BEYOND: dict[str, dict[str, list[Any]]] = {
    "temperature": {"temperature": [-1.0, 0.0, 1e-300, 0.009, 101.0, 1e300]},
    "resoftmax": {"temperature": [-1.0, 0.0, 1e-300, 0.009, 101.0, 1e300]},
    "inverse_softmax": {
        "temperature": [-1.0, 0.0, 0.04, 20.1, 1e300],
        "floor": [-1e-9, 1.0, 2.0],
    },
    "vector": {
        "scale": [[-1.0, 1, 1], [0.0, 1, 1], [1e-300, 1, 1], [1.0, 1, 200], [1.0, 1]],
        "offset": [[1e200, 0, 0], [0.0, 0], [0.0] * 4],
    },
    "platt": {"weights": [[-0.1, 0.0], [1e300, 0.0], [1.0, 1.0, 0.0], [1.0]]},
    "beta": {"weights": [[-0.1, 1.0, 0.0], [1.0, -1e-9, 0.0], [1.0, 0.0], [1e300, 1.0, 0.0]]},
    "isotonic": {
        "x": [np.linspace(1, 0, 3), [-0.1, 0.5, 0.6], [0.1, 0.5, 1.1], [0.5, 0.6]],
        "y": [np.linspace(1, 0, 3), [-0.1, 0.5, 0.6], [0.1, 0.5, 1.1], [0.5, 0.6]],
    },
    "spline": {
        "knots": [np.linspace(1, 0, 6), np.zeros(6), np.linspace(0, 1, 5), np.linspace(0, 1e9, 6)],
        "weights": [[-0.1, *[0.0] * 7], [0.0] * 7, [1e300, *[0.0] * 7]],
    },
    "centred_isotonic": {
        "x": [np.linspace(1, 0, 3), [-0.1, 0.5, 0.6], [0.1, 0.5, 1.1], [0.5, 0.6]],
        "y": [np.linspace(1, 0, 3), [0.2, 0.2, 0.6], [-0.1, 0.5, 0.6], [0.1, 0.5, 1.1], [0.5, 0.6]],
    },
    "prior": {"preference": [[0.0, 1, 1], [-1.0, 1, 1], [1e9, 1, 1]]},
    "histogram": {"value": [[0.5] * 14, [0.5] * 16, [-0.1] + [0.5] * 14, [0.5] * 14 + [1.1]]},
}
"""Of every method's parameters some that `fit` cannot find."""


def drawn(seed: int, count: int = 60, options: int = 3) -> Predictions:
    """A model whose confidence is not worth much."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-3, 4)
    return Predictions.from_options(
        rng.normal(0, scale, (count, options)).tolist(), rng.integers(0, options, count).tolist()
    )


def saved(name: str, folder: Path) -> Path:
    """A calibrator of known, valid parameters, as long as those in `BEYOND`."""
    if name in ("isotonic", "centred_isotonic"):
        flat = 0.2 if name == "isotonic" else 0.3
        corners = {"x": np.array([0.1, 0.5, 0.9]), "y": np.array([0.2, flat, 0.7])}
        Calibrator(name, {"": corners}).save_pretrained(folder, overwrite=True)
    else:
        fit(name, drawn(0)).save_pretrained(folder, overwrite=True)
    return folder


def refused(folder: Path, match: str) -> str:
    """The one line that says why an artifact is not read."""
    with pytest.raises(InvalidInputError, match=match) as caught:
        load(str(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@every_method
@given(st.integers(0, 2**32 - 1), st.booleans())
@few
def test_what_a_fit_finds_is_loaded_as_it_was(
    name: str, tmp_path_factory: pytest.TempPathFactory, seed: int, per_task: bool
) -> None:
    beliefs: Any = drawn(seed)
    if per_task:
        beliefs = {"a:b": beliefs, "c": drawn(seed + 1, 2)}
    folder = tmp_path_factory.mktemp("fitted")
    found = fit(name, beliefs, Training({"t": 60}, np.arange(60, dtype=np.uint64), "m"))
    found.save_pretrained(folder)
    again = Calibrator.from_pretrained(folder)
    assert again.parameters.keys() == found.parameters.keys()
    for task, parameters in found.parameters.items():
        assert again.parameters[task].keys() == parameters.keys()
        for key, value in parameters.items():
            assert np.array_equal(again.parameters[task][key], value)


EXTREME = {
    "certain and right": ([[0.0, 800.0]] * 9, [1] * 9),
    "certain and wrong": ([[0.0, 800.0]] * 9, [0] * 9),
    "knows nothing": ([[0.0, 0.0]] * 9, [0, 1, 1] * 3),
    "one document": ([[0.0, 1.0]], [1]),
    "probability 0": ([[0.0, -np.inf], [0.0, 1.0]], [1, 1]),
    "hardly apart": ([[0.0, 1e-12], [0.0, -1e-12]] * 5, [1, 0] * 5),
}


@every_method
@pytest.mark.parametrize("what", EXTREME)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_extreme_fits_are_loaded(name: str, what: str, tmp_path: Path) -> None:
    fit(name, Predictions.from_options(*EXTREME[what])).save_pretrained(tmp_path)
    assert load(str(tmp_path)).method == name


def test_every_parameter_of_every_method_is_tried() -> None:
    found = {name: set(fit(name, drawn(0)).parameters[""]) for name in METHODS}
    assert found == {name: set(values) for name, values in BEYOND.items()}


@every_method
def test_parameters_beyond_their_range(name: str, tmp_path: Path) -> None:
    for key, values in BEYOND[name].items():
        for value in values:
            put(saved(name, tmp_path), f":{key}", np.asarray(value, dtype=np.float64))
            said = refused(tmp_path, "must be")
            assert re.search(rf"`{key}`|`slope`|`y`|`offset`", said), said


@every_method
def test_parameters_that_are_no_such_numbers(name: str, tmp_path: Path) -> None:
    for key in BEYOND[name]:
        whole = load_file(saved(name, tmp_path) / "model.safetensors")[f":{key}"]
        spoilt: list[Any] = [np.full_like(whole, bad) for bad in (np.nan, np.inf, -np.inf)]
        spoilt += [whole[None], np.zeros(0), np.zeros((2, 2)), whole.astype(np.int64), whole > 0]
        spoilt += [whole.astype(np.float64).view(np.uint64), None]
        for value in spoilt:
            put(saved(name, tmp_path), f":{key}", value)
            refused(tmp_path, "must be")
    for more in (f":{key}2", "task", ":"):
        put(saved(name, tmp_path), more, np.ones(1))
        refused(tmp_path, "must be")


@every_method
def test_another_methods_parameters(name: str, tmp_path: Path) -> None:
    alike = ({"temperature", "resoftmax"}, {"isotonic", "centred_isotonic"})
    for other in METHODS:
        if other != name and {other, name} not in alike:
            rewrite(saved(name, tmp_path) / "config.json", method=other)
            refused(tmp_path, "must be")


def test_the_task_is_named(tmp_path: Path) -> None:
    both = {task: {"temperature": np.array(t)} for task, t in (("a", 1.0), ("b", -2.0))}
    Calibrator("temperature", both).save_pretrained(tmp_path)
    refused(tmp_path, r"task `b`: `temperature` must be from 0\.01 to 100, got -2")


DEEP = "[" * 100_000
CONFIGS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "deep": lambda _: DEEP,
    "deep inside": lambda _: '{"method": ' + DEEP,
    "a long number": lambda _: '{"tasks": {"t": ' + "9" * 5000 + "}}",
    "a list": lambda _: "[]",
    "a text": lambda _: '"temperature"',
    "nothing": lambda _: "",
    "latin-1": lambda _: b'{"method": "\xe9"}',
    "infinite": lambda c: {**c, "tasks": {"t": float("inf")}},
    "negative": lambda c: {**c, "tasks": {"t": -1}},
    "half": lambda c: {**c, "tasks": {"t": 1.5}},
    "true": lambda c: {**c, "tasks": {"t": True}},
    "huge": lambda c: {**c, "tasks": {"t": 10**400}},
    "no tasks": lambda c: {**c, "tasks": []},
    "method": lambda c: {**c, "method": ["temperature"]},
    "surrogates": lambda c: {**c, "method": "\ud800\x1b[31m"},
    "base": lambda c: {**c, "base_model": {"a": 1}},
    "fingerprint": lambda c: {**c, "base_fingerprint": 7},
    "empty": lambda _: {},
}


@pytest.mark.parametrize("what", CONFIGS)
def test_configurations_that_lie(what: str, tmp_path: Path) -> None:
    file = saved("temperature", tmp_path) / "config.json"
    lie = CONFIGS[what](json.loads(file.read_text()))
    content = lie if isinstance(lie, (bytes, str)) else json.dumps(lie)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert "\x1b" not in refused(tmp_path, "no calibrator that can be read")


@pytest.mark.parametrize("digest", [None, [1], "0" * 64])
def test_a_digest_that_lies(digest: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The copy inside the tensors is taken; where there is none, nothing is."""
    file = saved("temperature", tmp_path) / "config.json"
    fitted = load(str(tmp_path)).parameters
    rewrite(file, tensors_sha256=digest, tasks={"another": 9})
    assert load(str(tmp_path)).parameters == fitted and "whose copy of it is taken" in caplog.text
    save_file(load_file(tmp_path / "model.safetensors"), tmp_path / "model.safetensors")
    refused(tmp_path, "is not the one that")


@pytest.mark.parametrize(
    "value",
    [np.arange(3), np.zeros((2, 2), np.uint64), np.array(3, np.uint64), np.zeros(3), None],
)
def test_documents_are_hashes(value: Any, tmp_path: Path) -> None:
    put(saved("temperature", tmp_path), "documents", value)
    refused(tmp_path, "documents")


@pytest.mark.parametrize("part", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("what", ["folder", "loop", "dangling", "pipe"])
def test_what_is_no_file(part: str, what: str, tmp_path: Path) -> None:
    path = saved("temperature", tmp_path) / part
    path.unlink()
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path if what == "loop" else tmp_path / "nowhere")
    refused(tmp_path, f"without {part}")


def test_a_link_to_a_whole_file_is_followed(tmp_path: Path) -> None:
    path = saved("temperature", tmp_path / "a") / "config.json"
    path.rename(tmp_path / "config.json")
    path.symlink_to(tmp_path / "config.json")
    assert load(str(tmp_path / "a")).method == "temperature"
