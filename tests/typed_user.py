"""What a user's own code does with this package, as `mypy --strict` sees it (`make lint`)."""

from __future__ import annotations

from pathlib import Path

from lm_eval_calibration import Predictions, evaluate, reliability_diagram
from lm_eval_calibration.calibrators import load
from lm_eval_calibration.checkpoints import EvaluationSettings, checkpoints_in
from lm_eval_calibration.logs import load_samples, read_runs


def error(path: Path) -> tuple[float, float]:
    """An ECE with its standard error."""
    predictions = load_samples(path)
    estimate = evaluate(predictions)["ece"]
    reliability_diagram(predictions)
    return estimate.value, estimate.stderr


def made() -> float:
    """An accuracy."""
    return float(Predictions.from_options([[-1.2, -3.4], [-0.7, -0.9]], [0, 1]).correct.mean())


def labels(folders: list[str]) -> list[str]:
    """Of runs."""
    runs, _ = read_runs(folders)
    return [run.label for run in runs]


def missing(folder: Path, calibrator: str) -> list[str]:
    """Checkpoints that are still to be evaluated, and what a calibrator is called."""
    settings = EvaluationSettings(["calib_arc_easy"], limit=100)
    found, _ = checkpoints_in(folder)
    left = [each.name for each in found if not settings.done(folder / "calibration", each)]
    return [*left, load(calibrator).method]
