"""Folders of calibrators: what is missing, damaged or disguised is refused with words."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from lm_eval_calibration.calibrators import Calibrator, artifact, fit, load
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.predictions import Predictions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    p = Predictions.from_options([[0.0, 1.0], [1.0, 0.0], [0.0, 2.0]], [1, 1, 1])
    fit("temperature", p).save_pretrained(tmp_path)
    return tmp_path


def test_config_is_for_readers(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["method"] == "temperature"
    assert config["parameters"]["all tasks"]["temperature"] == pytest.approx(
        float(load(str(folder)).parameters[""]["temperature"])
    )
    assert "temperature, for any model" in (folder / "README.md").read_text()


@pytest.mark.parametrize("part", ["config.json", "model.safetensors"])
def test_missing_file(folder: Path, part: str) -> None:
    (folder / part).unlink()
    with pytest.raises(InvalidInputError, match=f"without {part}. Make one with `lm-calib fit"):
        load(str(folder))


@pytest.mark.parametrize("name", ["nowhere/at/all", "m1", "./m1", "~/m1", "/m1"])
def test_no_folder(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can be no repository's name is not asked for on the hub."""
    monkeypatch.setattr(artifact, "hf_hub_download", None)
    with pytest.raises(InvalidInputError, match=f"`{name}`, which is no folder here"):
        load(name)


def test_no_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object) -> None:
        raise OSError("no such repository")

    monkeypatch.setattr(artifact, "hf_hub_download", nothing)
    with pytest.raises(InvalidInputError, match="`no/where`, which is neither"):
        load("no/where")


def test_truncated_tensors(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    for size in (0, 5, len(whole) - 3):
        (folder / "model.safetensors").write_bytes(whole[:size])
        with pytest.raises(InvalidInputError, match="no calibrator that can be read"):
            load(str(folder))


def test_a_pickle_is_not_opened(folder: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (pytest.fail, ("a pickle was run",))

    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InvalidInputError, match="no calibrator that can be read"):
        load(str(folder))


@pytest.mark.parametrize(
    "change",
    [{"method": "horoscope"}, {"tasks": None}, {"method": None}],
)
def test_other_configurations(folder: Path, change: dict[str, object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(InvalidInputError):
        load(str(folder))


def test_not_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(InvalidInputError, match=r"config\.json`: not JSON"):
        Calibrator.from_pretrained(folder)


def test_parameters_that_are_no_numbers(tmp_path: Path) -> None:
    Calibrator("temperature", {"": {"temperature": np.array(np.nan)}}).save_pretrained(tmp_path)
    with pytest.raises(InvalidInputError, match="NaN or infinity"):
        load(str(tmp_path))


def test_pushed_to_the_hub_as_saved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both files and the card go up; nothing is sent in this test."""
    sent: dict[str, object] = {}

    class Api:
        def __init__(self, *_: object, **__: object) -> None: ...

        def create_repo(self, repo_id: str, **_: object) -> object:
            return type("Repo", (), {"repo_id": repo_id})()

        def upload_folder(self, *, repo_id: str, folder_path: Path, **_: object) -> str:
            sent[repo_id] = sorted(f.name for f in Path(folder_path).iterdir())
            return "done"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    assert load(str(folder)).push_to_hub("me/temperature") == "done"
    assert sent == {
        "me/temperature": [
            ".lm-eval-calibration.json", "README.md", "config.json", "model.safetensors"
        ]
    }  # fmt: skip
