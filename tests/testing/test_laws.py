"""The laws hold for our own members, and break where they are broken."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from logged_lines import NAME, line

from lm_eval_calibration.calibrators import METHODS, fit
from lm_eval_calibration.calibrators.contract import Method
from lm_eval_calibration.logs import FORMATS, read_runs
from lm_eval_calibration.logs.formats import HARNESS
from lm_eval_calibration.predictions import Predictions
from lm_eval_calibration.testing import check_calibrator, check_format
from lm_eval_calibration.testing.formats import FOREIGN

HERE = Path(__file__).parent


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example package, as if it were installed."""
    monkeypatch.syspath_prepend(str(HERE / "example_package"))
    import lm_eval_calibration_example.scores_json
    import lm_eval_calibration_example.shrink

    yield lm_eval_calibration_example
    for name in [n for n in sys.modules if n.startswith("lm_eval_calibration_example")]:
        del sys.modules[name]


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for model in ("a", "b"):
        for task in ("arc", "boolq"):
            rows = [
                {"scores": dict(zip("ABC", rng.normal(size=3), strict=True)), "gold": "ABC"[i % 3]}
                for i in range(20)
            ]
            path = tmp_path / "logs" / model / f"{task}.scores.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(rows))
    return tmp_path / "logs"


@pytest.mark.parametrize("name", METHODS)
def test_our_calibrators(name: str) -> None:
    check_calibrator(METHODS[name], helps=name != "resoftmax", cases=3)


def test_the_harness_s_logs(tmp_path: Path) -> None:
    for model in ("org__a", "org__b"):
        path = tmp_path / model / NAME
        path.parent.mkdir()
        path.write_text("".join(json.dumps(line(i, doc_hash=None)) + "\n" for i in range(30)))
    own = "samples_arc_easy_2026-01-01T00-00-00.000001.jsonl"
    check_format(HARNESS, tmp_path, foreign=[name for name in FOREIGN if name != own])


def test_an_example(example: Any, scores: Path) -> None:
    check_calibrator(example.shrink.METHOD)
    check_format(example.scores_json.FORMAT, scores)


def test_what_is_added_is_a_member(example: Any, scores: Path) -> None:
    with FORMATS.added(example.scores_json.FORMAT):
        runs, _ = read_runs([scores])
        assert [run.label for run in runs] == ["a", "b"]
        assert set(runs[0].samples) == {"arc", "boolq"}
    with METHODS.added(example.shrink.METHOD):
        p = Predictions.from_options([[0.0, 9.0]] * 4, [1, 1, 1, 0])
        assert fit("shrink", p).transform(p).confidence == pytest.approx([0.75] * 4, abs=1e-4)
    assert "shrink" not in METHODS and "scores-json" not in FORMATS


def broken(**changes: Any) -> Method:
    return replace(METHODS["temperature"], name="broken", **changes)


@pytest.mark.parametrize(
    ("method", "law"),
    [
        (broken(apply=lambda b, p: np.abs(b.logits)), "infinity"),
        (broken(check=lambda parameters: None), "`check` must refuse"),
        (broken(fit=lambda b: {"temperature": np.array(1 + abs(b.logits[0]) % 1)}), "order"),
        (broken(fit=lambda b: {"temperature": np.array(1.0)}), "NLL must fall"),
    ],
)
def test_laws_that_are_broken(method: Method, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_calibrator(method, cases=8)


def test_formats_that_break_laws(example: Any, scores: Path) -> None:
    kind = type(example.scores_json.FORMAT)

    class Greedy(kind):  # type: ignore[misc, valid-type]
        def finds(self, path: Path) -> Any:
            found = super().finds(path)
            return found or super().finds(scores)

    class Fragile(kind):  # type: ignore[misc, valid-type]
        def read(self, file: Any, label: str, skip_bad: bool) -> Any:
            json.loads(file.path.read_text())
            return super().read(file, label, skip_bad)

    for format_, law in ((Greedy(), "holds no runs"), (Fragile(), "must be an InvalidInputError")):
        with pytest.raises(AssertionError, match=law):
            check_format(format_, scores)
    with pytest.raises(AssertionError, match="it is a class"):
        check_format(kind, scores)
