"""What the package costs those who do not use it: its import, and its start-up hook.

    python benchmarks/startup.py --repeats 20 --hook-repeats 50

The import is timed in fresh interpreters, by turns with empty ones. The hook is one line of a .pth
file: a site folder that holds it alone is timed against one whose .pth file says `import sys`, and
against the same hook switched off, each by `site.addsitedir` in a fresh and isolated interpreter.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from common import machine_facts, markdown_table, verdict

ROOT = Path(__file__).resolve().parents[1]
HOOK = ROOT / "lm_eval_calibration" / "harness" / "autoload.py"
SWITCH = "LM_EVAL_CALIBRATION_AUTOLOAD"
HEAVY = ("torch", "numpy", "transformers", "lm_eval")
IMPORT_TARGET_MS, HOOK_TARGET_MS = 60.0, 1.0
HEADER = ("what", "median, ms", "target, ms")

TIMED_IMPORT = """
import sys, time
start = time.perf_counter()
import lm_eval_calibration
print(time.perf_counter() - start)
"""
LOADED = f"""
import sys, lm_eval_calibration
print(*(f"{{name}}: {{name in sys.modules}}" for name in {HEAVY!r}), sep=", ")
"""
TIMED_SITE = """
import site, sys, time
start = time.perf_counter()
site.addsitedir(sys.argv[1])
print(time.perf_counter() - start)
"""


def hook_line() -> str:
    """The .pth line that the wheel installs, from the template in pyproject.toml."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    template = re.search(r"^template = '(.*)'$", project, re.MULTILINE)
    if template is None:
        raise SystemExit("pyproject.toml holds no `template = '...'` of the start-up hook.")
    return template[1].format(code=HOOK.read_text(encoding="utf-8"))


def import_rows(repeats: int) -> list[list[str]]:
    """Wall clock of an import and of nothing, by turns, and the import's own account of itself."""
    pairs = [(_wall("pass"), _wall("import lm_eval_calibration")) for _ in range(repeats)]
    inside = median(float(_run(TIMED_IMPORT)) for _ in range(repeats))
    difference = median(full - empty for empty, full in pairs)
    return [
        _row("an empty interpreter", median(empty for empty, _ in pairs)),
        _row("`import lm_eval_calibration`, less that", difference, IMPORT_TARGET_MS),
        _row("the import statement, timed inside", inside, IMPORT_TARGET_MS),
    ]


def hook_rows(repeats: int) -> list[list[str]]:
    """The hook's site folder against a trivial one and against the hook switched off."""
    with tempfile.TemporaryDirectory() as folder:
        trivial = _site_folder(Path(folder) / "trivial", "import sys")
        hook = _site_folder(Path(folder) / "hook", hook_line())
        rounds = [
            (_site_seconds(trivial), _site_seconds(hook), _site_seconds(hook, switch="0"))
            for _ in range(repeats)
        ]
    on = median(hook - trivial for trivial, hook, _ in rounds)
    off = median(off - trivial for trivial, _, off in rounds)
    return [
        _row("a trivial .pth file", median(trivial for trivial, _, _ in rounds)),
        _row("the start-up hook, more than that", on, HOOK_TARGET_MS),
        _row(f"the same with {SWITCH}=0, more than that", off, HOOK_TARGET_MS),
    ]


def _site_folder(folder: Path, line: str) -> Path:
    folder.mkdir()
    (folder / "benchmark.pth").write_text(line + "\n", encoding="utf-8")
    return folder


def _site_seconds(folder: Path, switch: str = "1") -> float:
    """Seconds of `site.addsitedir(folder)` in an interpreter without any other site folder."""
    return float(_run(TIMED_SITE, "-I", "-S", argument=str(folder), switch=switch))


def _wall(code: str) -> float:
    start = time.perf_counter()
    _run(code)
    return time.perf_counter() - start


def _run(code: str, *flags: str, argument: str = "", switch: str = "1") -> str:
    """Output of a fresh interpreter."""
    return subprocess.run(
        [sys.executable, *flags, "-c", code, argument],
        env={**os.environ, SWITCH: switch},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout


def _row(label: str, seconds: float, target: float | None = None) -> list[str]:
    return [label, f"{seconds * 1e3:.3f}", verdict(seconds * 1e3, below=target)]


def _arguments(argv: Sequence[str] | None) -> Any:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--hook-repeats", type=int, default=50)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the machine's facts, the two tables, and what the import pulled in."""
    options = _arguments(argv)
    print(machine_facts("numpy", "torch", "torchmetrics", "lm_eval"))
    print(f"\n{markdown_table(HEADER, import_rows(options.repeats))}")
    print(f"\nIn `sys.modules` after the import: {_run(LOADED).strip()} (target: no torch)")
    print(f"\n{markdown_table(HEADER, hook_rows(options.hook_repeats))}")


if __name__ == "__main__":
    main()
