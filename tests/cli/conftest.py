"""What commands are given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from logged_lines import NAME, line


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Three checkpoints that get better; the second knows the task as a twin."""
    folders = []
    for step, task in enumerate(("toy", "calib_toy", "toy")):
        rng = np.random.default_rng(step)
        folder = tmp_path / f"step-{step}"
        folder.mkdir()
        lines = [
            json.dumps(line(i, scores=[rng.normal() + step - 9, rng.normal() - 9]))
            for i in range(60)
        ]
        (folder / NAME.replace("toy", task)).write_text("\n".join(lines) + "\n")
        folders.append(folder)
    return folders
