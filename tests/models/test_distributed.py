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


def evaluate(processes: int, tasks: Path, out: Path, lm: str, arguments: str) -> dict[str, Any]:
    """What a run over the toy tasks saved; its samples are left in `out`."""
    launch = [BIN / "accelerate", "launch", "--cpu", "--num_processes", str(processes)]
    launch += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    run = ["-m", "lm_eval", "--model", lm, "--model_args", arguments, "--device", "cpu"]
    run += ["--tasks", "calib_toy_norm,toy_several", "--include_path", tasks, "--limit", "15"]
    done = subprocess.run(
        [*launch, *run, "--log_samples", "--output_path", out],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    (path,) = out.rglob("results_*.json")
    return dict(json.loads(path.read_text()))


def test_two_processes_give_the_figures_of_one(
    tiny_model: Path, task_folder: Path, tmp_path: Path, thermometer_folder: Path
) -> None:
    """`thermometer`, and so `hf-fast`: 15 documents are 8 and 7, and the mean is over all."""
    arguments = f"pretrained={tiny_model},dtype=float32,thermometer={thermometer_folder}"
    one, two = (
        evaluate(n, task_folder, tmp_path / str(n), "thermometer", arguments) for n in (1, 2)
    )
    for task, row in one["results"].items():
        for key, value in row.items():
            if isinstance(value, float):
                assert abs(two["results"][task][key] - value) < 1e-4, (task, key)
    a, b = (run["config"]["thermometer"]["temperatures"] for run in (one, two))
    assert set(a) == {"toy_norm", "toy_several"}
    for task, found in a.items():
        assert found["prompts"] == b[task]["prompts"] == 15
        assert abs(found["temperature"] - b[task]["temperature"]) < 1e-5
    files = [next((tmp_path / n).rglob("samples_calib_toy_norm_*.jsonl")) for n in ("1", "2")]
    assert sorted(read_samples(files[0]).doc_hash) == sorted(read_samples(files[1]).doc_hash)


def test_two_processes_average_over_the_same_draws(
    tiny_model: Path, task_folder: Path, tmp_path: Path, swag_folder: Path
) -> None:
    arguments = f"pretrained={tiny_model},dtype=float32,swag={swag_folder},samples=2,scale=1.0"
    one, two = (evaluate(n, task_folder, tmp_path / str(n), "swag", arguments) for n in (1, 2))
    row, other = (run["results"]["calib_toy_norm"] for run in (one, two))
    assert row["draws,none"] == other["draws,none"] == 4
    for name in ("nll,none", "entropy,none", "mutual_information,none", "acc,none"):
        assert abs(row[name] - other[name]) < 1e-4, name
