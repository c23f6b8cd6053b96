"""Runs as the harness leaves them behind, and files broken in every way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lm_eval import simple_evaluate
from logged_lines import LIVE, save_run


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, tasks: Any, scripted: Any) -> Path:
    """Every shape of multiple choice, upstream and twin."""
    names = [*LIVE, *(f"calib_{name}" for name in LIVE)]
    results = simple_evaluate(
        model=scripted(), tasks=names, task_manager=tasks, bootstrap_iters=1000
    )
    return save_run(tmp_path_factory.mktemp("run"), results)


@pytest.fixture(scope="session")
def group_folder(tmp_path_factory: pytest.TempPathFactory, tasks: Any, scripted: Any) -> Path:
    """A group of twins with a group inside it, and a generation task."""
    names = ["calib_toy_group", "toy_generate"]
    results = simple_evaluate(
        model=scripted(), tasks=names, task_manager=tasks, bootstrap_iters=1000
    )
    return save_run(tmp_path_factory.mktemp("group"), results)


@pytest.fixture(scope="session")
def printed(run_folder: Path) -> dict[str, Any]:
    """The results file of the run."""
    (path,) = run_folder.rglob("results_*.json")
    return json.loads(path.read_text())
