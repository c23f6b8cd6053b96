"""Reading logged samples back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker

from lm_eval_calibration import evaluate
from lm_eval_calibration.errors import InvalidInputError
from lm_eval_calibration.samples import load_runs, load_samples, sample_files

NAME = "samples_calib_x_2026-01-02T03-04-05.678901.jsonl"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory, tasks: Any, scripted: Any) -> Path:
    """What the harness leaves behind for two twins and their upstream tasks."""
    folder = tmp_path_factory.mktemp("run")
    names = ["calib_toy_norm", "calib_toy_plain", "toy_norm"]
    results = simple_evaluate(
        model=scripted(), tasks=names, task_manager=tasks, bootstrap_iters=0, limit=20
    )
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.save_results_aggregated(results=results, samples=samples)
    for name in names:
        tracker.save_results_samples(task_name=name, samples=samples[name])
    (folder / "figures.json").write_text(json.dumps(results["results"], default=str))
    return folder


def test_a_run_read_back_gives_the_figures_it_printed(run_folder: Path) -> None:
    printed = json.loads((run_folder / "figures.json").read_text())["calib_toy_norm"]
    predictions = load_samples(sample_files([run_folder])["calib_toy_norm"])
    for name in ("ece", "ace", "mce", "auroc", "aurc"):
        estimate = evaluate(predictions, [name], replicates=0)[name]
        assert estimate.value == printed[f"{name},none"]


def test_files_by_task_newest_first(run_folder: Path, tmp_path: Path) -> None:
    assert set(sample_files([run_folder])) == {"calib_toy_norm", "calib_toy_plain", "toy_norm"}
    old = tmp_path / "samples_calib_toy_norm_2001-01-01T00-00-00.000001.jsonl"
    old.write_text("{}\n")
    newest = sample_files([old, run_folder])["calib_toy_norm"]
    assert newest.parent != tmp_path


def test_upstream_samples_hold_no_confidence(run_folder: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"line 1: no \(confidence, correct\) pair"):
        load_samples(sample_files([run_folder])["toy_norm"])


def test_runs_with_and_without_predictions(run_folder: Path) -> None:
    predictions, unread = load_runs([run_folder])
    assert set(predictions) == {"calib_toy_norm", "calib_toy_plain"}
    assert len(unread) == 1
    assert "samples_toy_norm" in unread[0]
    with pytest.raises(InvalidInputError, match="No predictions in any"):
        load_runs([sample_files([run_folder])["toy_norm"]])


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    for run, message in (
        (tmp_path, "holds no samples"),
        (tmp_path / "gone", "does not exist"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            sample_files([run])
    odd = tmp_path / "odd.jsonl"
    odd.touch()
    with pytest.raises(InvalidInputError, match="is not named samples_"):
        sample_files([odd])


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "holds no samples"), ('{"ece": [0.5, 1]}\n{"ece": [0', "line 2: not JSON")],
)
def test_broken_files(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / NAME
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        load_samples(path)


def test_blank_lines_are_no_documents(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_text('{"auroc": [0.5, 1]}\n\n{"auroc": [0.25, 0]}\n')
    predictions = load_samples(path)
    assert np.array_equal(predictions.confidence, [0.5, 0.25])
    assert predictions.correct.tolist() == [True, False]
