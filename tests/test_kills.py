"""SIGKILL at random moments: what is started again ends as if nothing had happened."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import Child, Work, digests
from command import run
from lm_eval import simple_evaluate
from mutations import ours
from scripted_base import Scripted  # noqa: F401

from lm_eval_calibration.calibrators import load
from lm_eval_calibration.files import write_text
from lm_eval_calibration.fractal import SentenceScorer
from lm_eval_calibration.swag import load as load_swag

KILLS = 20
pytestmark = pytest.mark.slow


def killed_often(work: Work, tmp_path: Path, check: Callable[[Path], object], results: str) -> None:
    """Kill the work `KILLS` times, then let it end, and compare with an undisturbed run.

    Args:
        work: writes into the folder that it is given.
        tmp_path: for both.
        check: called after each kill; may refuse what is there, by our own error alone.
        results: glob of the files that must be alike in the end.
    """
    whole, output = tmp_path / "whole", tmp_path / "killed"
    start = time.monotonic()
    Child(work, whole, tmp_path / "error").wait()
    seconds = time.monotonic() - start
    for moment in np.random.default_rng(0).uniform(0, seconds, KILLS):
        child = Child(work, output, tmp_path / "error")
        time.sleep(moment)
        child.kill()
        with ours():
            check(output)
    Child(work, output, tmp_path / "error").wait()
    check(output)
    assert digests(output, results) == digests(whole, results)


@pytest.fixture
def asked(tiny_model: Path, task_folder: Path) -> list[Any]:
    return [
        "--model_args", f"pretrained={tiny_model},dtype=float32", "--device", "cpu",
        "--include_path", task_folder,
    ]  # fmt: skip


def test_fit_thermometer(asked: list[Any], tmp_path: Path) -> None:
    tasks = ["--tasks", "toy_norm,toy_several", "--split", "test"]
    killed_often(
        lambda output: run("fit", "thermometer", *asked, *tasks, "--output", output),
        tmp_path, load_named, "*.safetensors",
    )  # fmt: skip


def test_fit_swag(asked: list[Any], tmp_path: Path) -> None:
    training = ["--tasks", "toy_norm", "--train_batch_size", 2, "--rank", 3, "--scale", 1]
    killed_often(
        lambda output: run("fit", "swag", *asked, *training, "--output", output),
        tmp_path, load_swag, "**/*.safetensors",
    )  # fmt: skip


def load_named(folder: Path) -> None:
    load(str(folder))


@pytest.mark.usefixtures("toy_encoder")
def test_fit_fractal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i in range(200):
        says = ["wrong" if rng.random() < 0.3 else "fine" for _ in range(3)]
        texts = [f"Sentence {k} of {i} is {word}." for k, word in enumerate(says)]
        rows.append({"question": f"{i}?", "response": texts, "label": int("wrong" not in says)})
    table = tmp_path / "rows.jsonl"
    table.write_text("".join(json.dumps(row) + "\n" for row in rows))
    killed_often(
        lambda output: run("fit", "fractal", "--table", table, "--epochs", 5, "--output", output),
        tmp_path, SentenceScorer.from_pretrained, "*.safetensors",
    )  # fmt: skip


def test_self_correct_with_a_cache(tasks: Any, tmp_path: Path) -> None:
    def evaluate(output: Path) -> None:
        output.mkdir(exist_ok=True)
        results = simple_evaluate(
            model="self_correct", model_args="base=scripted,picker=unsure,candidates=6",
            tasks=["calib_toy_generate"], task_manager=tasks, bootstrap_iters=100,
            use_cache=str(output / "cache"),
        )  # fmt: skip
        assert results is not None
        write_text(output / "results.json", json.dumps(results["results"], sort_keys=True))

    killed_often(evaluate, tmp_path, lambda _: None, "results.json")


def test_score(generated_folder: Path, tmp_path: Path) -> None:
    def score(output: Path) -> None:
        text = run("score", generated_folder, "--filter", "plain", "--json").stdout
        write_text(output / "scores.json", text)

    def check(output: Path) -> None:
        if (output / "scores.json").exists():
            json.loads((output / "scores.json").read_text())

    killed_often(score, tmp_path, check, "scores.json")
