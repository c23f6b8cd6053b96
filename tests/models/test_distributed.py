"""Two processes, as `accelerate launch` starts them: the figures of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lm_eval_calibration.samples import read_samples

BIN = Path(sys.executable).parent


def evaluate(processes: int, model: Path, tasks: Path, out: Path) -> dict[str, Any]:
    """Results of a run over the toy tasks, with its samples left in `out`."""
    launch = [BIN / "accelerate", "launch", "--cpu", "--num_processes", str(processes)]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    arguments = f"pretrained={model},dtype=float32"
    run = ["-m", "lm_eval", "--model", "hf-fast", "--model_args", arguments, "--device", "cpu"]
    run += ["--tasks", "calib_toy_norm,toy_several", "--include_path", tasks, "--limit", "15"]
    done = subprocess.run(
        [*launch, *run, "--log_samples", "--output_path", out],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    (path,) = out.rglob("results_*.json")
    return dict(json.loads(path.read_text())["results"])


def test_two_processes_give_the_figures_of_one(
    tiny_model: Path, task_folder: Path, tmp_path: Path
) -> None:
    one, two = (evaluate(n, tiny_model, task_folder, tmp_path / str(n)) for n in (1, 2))
    for task, row in one.items():
        for key, value in row.items():
            if isinstance(value, float):
                assert abs(two[task][key] - value) < 1e-4, (task, key)
    files = [next((tmp_path / n).rglob("samples_calib_toy_norm_*.jsonl")) for n in ("1", "2")]
    assert sorted(read_samples(files[0]).doc_hash) == sorted(read_samples(files[1]).doc_hash)
