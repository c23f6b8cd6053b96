"""A thermometer of the tiny model, fitted through the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import run


@pytest.fixture(scope="session")
def thermometer_folder(
    tiny_model: Path, task_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Trained on the toy tasks' training documents."""
    folder = tmp_path_factory.mktemp("thermometer")
    run(
        "fit", "thermometer", "--model_args", f"pretrained={tiny_model},dtype=float32",
        "--device", "cpu", "--tasks", "toy_norm,toy_several", "--include_path", task_folder,
        "--split", "train", "--output", folder,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="session")
def swag_folder(
    tiny_model: Path, task_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Two members, trained on a toy task's training documents."""
    folder = tmp_path_factory.mktemp("swag")
    run(
        "fit", "swag", "--model_args", f"pretrained={tiny_model},dtype=float32",
        "--device", "cpu", "--tasks", "toy_norm", "--include_path", task_folder,
        "--members", "2", "--train_batch_size", "2", "--rank", "3", "--learning_rate", "0.01",
        "--swag_learning_rate", "0.01", "--output", folder,
    )  # fmt: skip
    return folder
