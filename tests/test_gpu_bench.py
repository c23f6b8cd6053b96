"""`make gpu-bench`'s script runs whole at a small size on a CPU, so that nothing is found broken on the card."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data"
FEW = ["--models", "hybrid of 4B (Qwen3.5's layers)", "--cases", "arc"]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data sets at {DATA} are not there")
@pytest.mark.parametrize(
    ("asked", "count"), [(FEW, 1), pytest.param([], 16, marks=pytest.mark.slow)]
)
def test_both_tables(
    asked: list[str],
    count: int,
    tiny_model: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.chdir(ROOT)
    script = importlib.import_module("gpu")
    options = ["--tokenizer", str(tiny_model), "--data", str(DATA), "--device", "cpu"]
    script.main([*options, "--dtype", "float32", "--toy", "--limit", "1", *asked])
    printed = capsys.readouterr().out.splitlines()
    lines = [line.split(" | ") for line in printed if line.startswith("| ")]
    kinds = {
        line[0].removeprefix("| "): line for line in lines[2 : 2 + len(script.IMPLEMENTATIONS)]
    }
    assert kinds["eager"][1] == kinds["sdpa"][1] == "runs"
    start = next(n for n, line in enumerate(lines) if line[0] == "| generation")
    written = lines[start + 2 :]
    assert written and all(row[8].startswith("6 of") and row[1] != "hf" for row in written), written
    rows = lines[start - count : start]
    assert all(float(row[7]) < 1e-3 and row[6] != "hf" for row in rows), rows


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data sets at {DATA} are not there")
def test_reproducible(
    tiny_model: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.chdir(ROOT)
    options = ["--tokenizer", str(tiny_model), "--data", str(DATA), "--device", "cpu", "--toy"]
    importlib.import_module("gpu_reproducible").main([*options, "--cases", "arc"])
    lines = [x.strip("| ").split(" | ") for x in capsys.readouterr().out.splitlines() if "| " in x]
    assert len(lines) == 2 + 2 * 4
    assert all(line[-1] == "true" and line[-2] != "hf" for line in lines[2:]), lines
