"""Memory under a ceiling, and what a thousand evaluations leave behind."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lm_eval import simple_evaluate
from logged_lines import NAME, line

CEILING = 800
"""Megabytes of address space for 100,000 documents, beside the libraries' own. Replicates of their
weights take most of it, and no more for more documents."""
UNDER_A_CEILING = """
import resource, sys
from lm_eval_calibration.cli import recalibrate, score, tables  # what a command loads first
from lm_eval_calibration.cli.app import app
from lm_eval_calibration.report import page
used = {key: int(value.split()[0]) * 1024 for key, _, value in
        (row.partition(":") for row in open("/proc/self/status")) if value.strip().endswith("kB")}
ceiling = used["VmSize"] + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
app(sys.argv[2:], standalone_mode=False)
"""


def under_a_ceiling(megabytes: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    """`lm-calib` with so much address space beside what its libraries take."""
    command = [sys.executable, "-c", UNDER_A_CEILING, str(megabytes), *map(str, arguments)]
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, text=True, capture_output=True, env={**os.environ, **one})


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 100,000 documents of four options, 50 MB."""
    folder = tmp_path_factory.mktemp("many")
    rng = np.random.default_rng(0)
    template = json.dumps(line(texts=["a", "b", "c", "d"], scores=[-1.0, -2.0, -3.0, -4.0]))
    whole = json.loads(template)
    with (folder / NAME).open("w") as file:
        for i, scores in enumerate((-rng.gamma(9, 1 / 3, (100_000, 4))).round(4).tolist()):
            whole |= {"doc_id": i, "doc_hash": f"{i:064x}", "target": str(i % 4),
                      "filtered_resps": [[str(s), "False"] for s in scores]}  # fmt: skip
            file.write(json.dumps(whole) + "\n")
    return folder


@pytest.mark.exhaustive
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_scoring_and_reporting_under_a_ceiling(many: Path, tmp_path: Path) -> None:
    """Every metric with intervals and null bands, and the page."""
    scored = under_a_ceiling(CEILING, "score", many, "--json")
    assert scored.returncode == 0, scored.stderr[-2000:]
    assert json.loads(scored.stdout)
    page = tmp_path / "report.html"
    reported = under_a_ceiling(CEILING, "report", many, "--output", page)
    assert reported.returncode == 0, reported.stderr[-2000:]
    assert page.stat().st_size > 50_000


@pytest.mark.exhaustive
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_the_ceiling_is_one(many: Path) -> None:
    assert under_a_ceiling(5, "score", many, "--json").returncode != 0


def left_behind() -> tuple[int, int, float]:
    """Threads, open files, and megabytes."""
    gc.collect()
    status = Path("/proc/self/status").read_text()
    resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
    return threading.active_count(), len(os.listdir("/proc/self/fd")), resident


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
@pytest.mark.parametrize(
    "times", [24, pytest.param(1000, marks=pytest.mark.slow)], ids=["some", "a thousand"]
)
def test_evaluations_leave_nothing_behind(times: int, tasks: Any) -> None:
    import scripted_base  # noqa: F401

    def evaluate(number: int) -> None:
        model, arguments, task = [
            ("verbalized", "base=scripted", "calib_toy_norm"),
            ("self_correct", "base=scripted,candidates=2", "calib_toy_generate"),
            ("scripted", "", "calib_toy_several"),
        ][number % 3]
        simple_evaluate(
            model=model, model_args=arguments, tasks=[task], task_manager=tasks, limit=2,
            bootstrap_iters=10,
        )  # fmt: skip

    for number in range(15):
        evaluate(number)
    threads, files, before = left_behind()
    for number in range(times):
        evaluate(number)
    threads_after, files_after, after = left_behind()
    assert threads_after <= threads and files_after <= files
    assert after - before < 30 + 0.1 * times
