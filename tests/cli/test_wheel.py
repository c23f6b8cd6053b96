"""The built wheel, installed into an empty environment and used from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "lm_eval_calibration/task_yamls/arc.yaml" in names
    assert "lm_eval_calibration/py.typed" in names
    assert sum(name.endswith(".pth") for name in names) == 1
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs"))]


@pytest.mark.exhaustive
def test_twin_runs_in_an_empty_environment(wheel: Path, workspace: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    subprocess.run([sys.executable, "-m", "venv", "empty"], check=True)
    install = [
        "empty/bin/pip",
        "install",
        "--quiet",
        "-c",
        str(ROOT / "constraints.txt"),
        str(wheel),
    ]
    subprocess.run(install, check=True, env=environment)
    run = "--model dummy --tasks calib_demo --limit 5"
    done = subprocess.run(
        ["empty/bin/lm_eval", *run.split()],
        check=True, env=environment, text=True, capture_output=True, cwd=workspace,
    )  # fmt: skip
    assert "|ece " in done.stdout
