"""A package that adds a metric, a calibrator, a model and a format is installed, and everything has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.exhaustive
HERE = Path(__file__).parent
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the example package is on the path, as an installed one is."""
    folder = tmp_path_factory.mktemp("site")
    wheels = tmp_path_factory.mktemp("wheels")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(wheels)]
    subprocess.run([*build, HERE / "example_package"], check=True, capture_output=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder]
    subprocess.run([*install, *wheels.glob("*.whl")], check=True, capture_output=True)
    path = os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])
    return {**os.environ, "PYTHONPATH": path}


def call(environment: dict[str, str], *arguments: object, command: str = "lm-calib") -> str:
    line = [BIN / command, *map(str, arguments)]
    done = subprocess.run(line, text=True, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_and_a_metric_in_a_run(
    installed: dict[str, str], task_folder: Path, tmp_path: Path
) -> None:
    options = {
        "--model": "hedges",
        "--model_args": "base=dummy",
        "--tasks": "calib_toy_generate",
        "--include_path": task_folder,
        "--output_path": tmp_path,
    }
    asked = {**installed, "LM_EVAL_CALIBRATION_METRICS": "ece,sure_and_wrong_0.8"}
    line = [part for pair in options.items() for part in pair]
    shown = call(asked, *line, "--log_samples", command="lm_eval")
    assert "|sure_and_wrong_0.8" in shown
    again = call(installed, "score", tmp_path, "--metrics", "sure_and_wrong_0.8", "--json")
    assert json.loads(again)["scores"][0]["metrics"]["sure_and_wrong_0.8"]["value"] == 1.0
    assert "sure_and_wrong" in call(installed, "metrics")


def test_both_are_there(installed: dict[str, str], tmp_path: Path) -> None:
    shown = " ".join(call(installed, "fit", "--help").replace("│", " ").split())
    assert "a share of the uniform distribution (of lm-eval-calibration-example)" in shown
    assert "scores-json" in call(installed, "formats")
    for model in ("a", "b"):
        rows = [
            {"question": i, "scores": {"A": -0.1, "B": -3.0}, "gold": "A" if i % 3 else "B"}
            for i in range(30)
        ]
        path = tmp_path / model / "arc.scores.json"
        path.parent.mkdir()
        path.write_text(json.dumps(rows))
    scores = json.loads(call(installed, "score", tmp_path, "--metrics", "acc", "--json"))["scores"]
    assert [(s["run"], s["name"]) for s in scores] == [("a", "arc"), ("b", "arc")]
    assert scores[0]["metrics"]["acc"]["value"] == pytest.approx(2 / 3)
    fitted = tmp_path / "fitted"
    said = call(installed, "fit", "shrink", "--samples", tmp_path / "a", "--output", fitted)
    assert "shrink" in said
    more = ["--calibrator", fitted, "--allow-other"]
    (tmp_path / "c").mkdir()
    other = [{"question": i, "scores": {"A": -0.1, "B": -3.0}, "gold": "A"} for i in range(30, 60)]
    (tmp_path / "c" / "arc.scores.json").write_text(json.dumps(other))
    call(installed, "score", tmp_path / "c", *more, "--metrics", "nll")
    call(installed, "compare", tmp_path / "a", tmp_path / "b", "--metrics", "nll")
    with pytest.raises(AssertionError, match="fitted on documents of this evaluation"):
        call(installed, "score", tmp_path / "b", *more)
    table = tmp_path / "table.csv"
    table.write_text("p,ok\n0.5,1\n0.7,0\n")
    without = {**installed, "PYTHONPATH": os.environ["PYTHONPATH"]}
    with pytest.raises(AssertionError, match="lm-eval-calibration-example adds: install that"):
        call(without, "score", table, "--confidence", "p", "--correct", "ok", *more)
