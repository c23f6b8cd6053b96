"""The example package, and logs of its format."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example package, as if it were installed."""
    monkeypatch.syspath_prepend(str(HERE / "example_package"))
    for name in ("hedges", "scores_json", "shrink", "sure_and_wrong"):
        importlib.import_module(f"lm_eval_calibration_example.{name}")

    yield sys.modules["lm_eval_calibration_example"]
    for name in [n for n in sys.modules if n.startswith("lm_eval_calibration_example")]:
        del sys.modules[name]


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for model in ("a", "b"):
        for task in ("arc", "boolq"):
            rows = [
                {
                    "question": f"number {i}",
                    "scores": dict(zip("ABC", rng.normal(size=3), strict=True)),
                    "gold": "ABC"[i % 3],
                }
                for i in range(20)
            ]
            path = tmp_path / "logs" / model / f"{task}.scores.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(rows))
    return tmp_path / "logs"
