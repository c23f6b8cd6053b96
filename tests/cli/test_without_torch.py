"""What reads logs, measures, compares, fits and draws does so without torch and without the harness."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("accelerate", "lm_eval", "peft", "psutil", "torch", "transformers")
BLOCKED = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""
COMMANDS = """
score runs --all
score runs --json
score table.csv --confidence confidence --correct correct
compare a=runs b=runs
report runs -o page.html --skip-bad
diagram runs -o diagram.png
leaderboard a=runs b=runs -o board.html
fit temperature --samples runs --output temperature
fit best --samples runs --output best
score others --calibrator temperature --allow-other
thresholds --fit runs --test others --precision 0.7
sets --fit runs --test others --coverage 0.9
ood --in runs --out others
size --like runs --metric ece --effect 0.1
card runs
scrub runs --output clean
metrics
formats
tasks
"""
LIGHT = """app beliefs card compare compare_overview cost fit_best fit_recalibrator leaderboard ood pools
recalibrate report score score_by score_overview scrub sets size thresholds"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from logged_lines import NAME, line

    for run, beginning in (("runs", 0), ("others", 200)):
        (tmp_path / run).mkdir()
        numbers = range(beginning, beginning + 200)
        scores = [[-1 - n % 7, -2 - n % 5] if n % 3 else [-2 - n % 7, -1] for n in numbers]
        lines = [
            line(n, scores=s, doc_hash=f"{n:08x}".ljust(64, "0"))
            for n, s in zip(numbers, scores, strict=True)
        ]
        (tmp_path / run / NAME).write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    rows = [f"{(n % 10) / 10},{n % 2}" for n in range(100)]
    (tmp_path / "table.csv").write_text("\n".join(["confidence,correct", *rows]))
    return tmp_path


def blocked(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + code], cwd=folder, text=True, capture_output=True
    )


def test_modules(folder: Path) -> None:
    rooms = ["analysis", "exports.model_card", "logs", "report.page", "sklearn", "testing"]
    names = [*rooms, *(f"cli.{name}" for name in LIGHT.split())]
    done = blocked(
        "import importlib\n"
        f"for name in {names}: importlib.import_module(f'lm_eval_calibration.{{name}}')",
        folder,
    )
    assert not done.returncode, done.stderr


@pytest.mark.exhaustive
def test_commands(folder: Path) -> None:
    # In one process: what is imported is imported once.
    done = blocked(
        "from lm_eval_calibration.cli import app\n"
        f"for command in {COMMANDS.strip().splitlines()}:\n"
        "    sys.argv = ['lm-calib', *command.split()]\n"
        "    try: app.main()\n"
        "    except SystemExit as end: print('ended', end.code, command, file=sys.stderr)\n",
        folder,
    )
    ended = [line for line in done.stderr.splitlines() if line.startswith("ended ")]
    assert ended == [f"ended 0 {c}" for c in COMMANDS.strip().splitlines()], done.stderr


def test_the_library(folder: Path) -> None:
    code = """
import numpy as np
from lm_eval_calibration import compare, evaluate, fit, load_samples, METHODS
import lm_eval_calibration.sklearn
p = load_samples("runs/samples_toy_2026-01-02T03-04-05.678901.jsonl")
print(evaluate(p)["ece"], fit("temperature", p), compare(p, p))
"""
    done = blocked(code, folder)
    assert not done.returncode, done.stderr


def test_what_needs_a_model_says_what_to_install(folder: Path) -> None:
    code = "from lm_eval_calibration.cli import main\nsys.argv = ['lm-calib', 'run', '--model', 'hf']\nmain()"
    done = blocked(code, folder)
    assert done.returncode == 2
    assert "needs lm_eval, which is not installed: pip install lm-eval-calibration" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_group_is_what_the_package_needs_but_for_models() -> None:
    tomllib = pytest.importorskip("tomllib")  # (Python 3.11)
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    core, whole = about["dependency-groups"]["core"], about["project"]["dependencies"]
    drawn = about["project"]["optional-dependencies"]["plots"]
    heavy = {name.replace("_", "-") for name in HEAVY}
    light = {one for one in whole if one.partition(">")[0] not in heavy}
    assert light | set(drawn) <= set(core)
    assert not [one for one in core if one.partition(">")[0] in heavy]
