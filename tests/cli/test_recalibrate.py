"""`--calibrator` on logged runs: the figures of `--model calibrated`, without a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import run
from lm_eval import simple_evaluate
from logged_lines import save_run

from lm_eval_calibration.calibrators.held_out import SeenDocumentsError
from lm_eval_calibration.models.calibrated import CalibratedLM


def test_offline_is_live(
    tiny_model: Path, task_folder: Path, tiny_lm: Any, tasks: Any, workspace: Path
) -> None:
    run(
        "fit", "temperature", "--model", "hf", "--model_args",
        f"pretrained={tiny_model},dtype=float32", "--device", "cpu", "--tasks", "toy_norm",
        "--include_path", task_folder, "--folds", "3", "--output", "ts",
    )  # fmt: skip
    asked = {"tasks": ["calib_toy_norm"], "task_manager": tasks}
    save_run(workspace / "run", simple_evaluate(model=tiny_lm, **asked))
    printed = run("score", "run", "--calibrator", "ts", "--json", "--metrics", "acc,nll,ece").stdout
    found = json.loads(printed)
    lm = CalibratedLM(
        base="hf", calibrator="ts", pretrained=str(tiny_model), device="cpu", dtype="float32",
        batch_size=8,
    )  # fmt: skip
    live = simple_evaluate(model=lm, bootstrap_iters=0, **asked)["results"]["calib_toy_norm"]
    (scored,) = found["scores"]
    for name in ("acc", "nll", "ece"):
        assert scored["metrics"][name]["value"] == pytest.approx(live[f"{name},none"], abs=1e-9)
    assert "its beliefs are those of the model and a calibrator (temperature)" in printed
    run("diagram", "run", "--calibrator", "ts", "--output", "after.png")
    assert Path("after.png").stat().st_size > 10_000
    run("fit", "temperature", "--samples", "run", "--output", "seen")
    with pytest.raises(SeenDocumentsError, match="40 of 40 of `toy_norm`"):
        run("score", "run", "--calibrator", "seen")
